"""What an engine's answers other than success mean: the one place that knows its wording."""

from __future__ import annotations

import re
from typing import NoReturn

from dolium import errors

WHAT = "Docker Engine"

_NOISE = re.compile(
    r"Error response from daemon: "
    r"|failed to create (?:shim task|task for container): |failed to start shim: "
    r"|(?:OCI|oci) runtime (?:create|exec) failed: |OCI permission denied: "
    r"|runc(?:\.\w+)? create failed: |(?:runc did not terminate \w+: |crun: |conmon: )"
    r"|unable to start container process: (?:error during container init: )?"
    r"|container_linux\.go:\d+: starting container process caused: "
    r"|creating container: |starting container: |cannot start container: |exec failed: "
    r"|: OCI runtime attempted to invoke a command that was not found$|: OCI permission denied$"
    r"|: unknown$|\s+$"
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NO_PROGRAM = re.compile(
    r"""(?:exec(?:utable file)?:? |error finding executable )["'`](?P<name>[^"'`]+)["'`]"""
    r""".*?(?P<why>not found|no such file or directory|permission denied|is a directory|"""
    r"""exec format error)""",
    re.IGNORECASE | re.DOTALL,
)
_PLUGIN = re.compile(
    r"(?:failed to create endpoint \S+ on network \S+: remote|(?:Network|Ipam|Volume)Driver\.\w+): "
    r"(?P<why>.*)",
    re.DOTALL,
)
_AWAY = re.compile(
    r"""https?://(?:[^\s"]*plugins|plugin\.moby\.localhost)[^\s"]*"?: (?P<why>.*)"""
    r"""|(?P<missing>[Pp]lugin "?\S+"? not found)""",
    re.DOTALL,
)
_LOST = re.compile(
    r"connection refused|connection reset|connection closed|broken pipe|transport is closing"
    r"|ttrpc: closed|: unavailable$"  # how containerd's own client says that it was cut off
    r"|i/o timeout|context deadline exceeded|context canceled|unexpected EOF|: EOF$"
    r"|error reading from server|Unavailable desc|shutting down|is already in progress"
    r"|database is locked",
    re.IGNORECASE,
)
_THING = re.compile(r"[Nn]o such (?P<kind>\w+)(?: with name or ID)?:? \"?(?P<id>[^\s\":]+)")
_NETWORK = re.compile(r"network (?P<id>\S+) not found")


def clean(message: str) -> str:
    """An engine's sentence without what only its makers want to know."""
    message = message.replace("\\n", " ").strip()
    while (shorter := _NOISE.sub("", message)) != message:
        message = shorter
    return " ".join(message.split())


def no_program(message: str) -> str | None:
    """The sentence about a program that can't be run, if the message is about one."""
    if found := _NO_PROGRAM.search(message):
        why = found["why"].lower()
        if why == "not found":
            why = "executable file not found in $PATH"
        return f"The command '{found['name']}' can't be run: {why}"
    return None


def fail(status: int, message: str, what: str = WHAT) -> NoReturn:
    """Raise what an answer of the engine means.

    A refusal is definite and raises Refused or a kin; what leaves open whether it was done, or
    heals by itself, raises Unanswered.
    """
    text = clean(message) or f"HTTP status {status}"
    if sentence := no_program(text):
        raise errors.Refused(why=sentence)
    if _FULL.search(text):
        raise errors.Full(what=what, why=text)
    if away := _AWAY.search(text):
        raise errors.Unanswered(what="Network plugin", why=away["why"] or away["missing"])
    if plugin := _PLUGIN.search(text):
        if _LOST.search(plugin["why"]):
            raise errors.Unanswered(what="Network plugin", why=plugin["why"])
        raise errors.Refused(why=plugin["why"])
    if status >= 500 and (status in (502, 503, 504) or _LOST.search(text)):
        raise errors.Unanswered(what=what, why=text)
    if status == 409 and _LOST.search(text):
        raise errors.Unanswered(what=what, why=text)
    if status == 404:
        raise errors.Absent(what=_thing(text))
    raise errors.Refused(why=text)


def _thing(text: str) -> str:
    if found := _THING.search(text):
        return f"{found['kind'].capitalize()} {found['id']}"
    if found := _NETWORK.search(text):
        return f"Network {found['id']}"
    return text
