"""Questions are answered in plain values, errors too."""

from base64 import b64decode, b64encode

from dolium import errors
from dolium.model.wish import Question
from tests.agent.stub import Bench
from tests.tars import tar, untar

U = "c0000000-0000-4000-8000-000000000001"


def ask(bench: Bench, what: str, **params: object) -> object:
    reply = bench.core.answer(Question(what=what, uuid=U, params=params))
    return reply.value if reply.code is None else (reply.code, reply.facts)


def test_questions() -> None:
    bench = Bench()
    bench.control.create(U, command=["sh", "-c", "echo hello; exec top"])
    bench.settle()
    assert ask(bench, "logs", stdout=True, stderr=True, timestamps=False, tail="all") == "hello\n"
    assert ask(bench, "logs", stdout=True, stderr=True, tail=None, since=None) == "hello\n"
    done = ask(bench, "execute", argv=["echo", "a b"], timeout=5)
    assert done == {"output": "a b\n", "exit_code": 0}
    assert ask(bench, "top", ps_args=None)["Titles"]  # type: ignore[index]
    assert ask(bench, "stats")["memory"] > 0  # type: ignore[index]


def test_archives() -> None:
    bench = Bench()
    bench.control.create(U)
    bench.settle()
    data = b64encode(tar(("x", bytes(9)))).decode()
    assert ask(bench, "put_archive", path="/tmp", data=data) is None
    found = ask(bench, "get_archive", path="/tmp/x", most=1 << 20)
    assert isinstance(found, dict)
    assert found["stat"] | {"mtime": ""} == {
        **{"name": "x", "size": 9, "mode": 0o644, "mtime": "", "linkTarget": ""},
    }
    assert untar(b64decode(found["data"])) == {"x": bytes(9)}
    assert ask(bench, "get_archive", path="/no", most=1) == ("dolium.no_path", {"path": "/no"})


def test_errors_are_answers() -> None:
    bench = Bench()
    assert ask(bench, "logs") == (errors.Absent.code, {"what": f"Container {U}"})
    bench.control.create(U)
    bench.settle()
    assert ask(bench, "execute", argv=["sleep", "60"], timeout=1)[0] == "dolium.timed_out"  # type: ignore[index]
    assert ask(bench, "dance")[0] == "dolium.not_offered"  # type: ignore[index]
    assert ask(bench, "execute")[0] == "dolium.error"  # type: ignore[index]
