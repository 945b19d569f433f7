"""The configuration of our own engine."""

import json
from pathlib import Path

from dolium.beside import engine_files
from dolium.beside.engine_files import Places


def test_our_engine_shares_nothing(tmp_path: Path) -> None:
    places = Places(tmp_path / "state", tmp_path / "run")
    text = engine_files.daemon(places, "dolium-x", mirrors=["http://127.0.0.1:1"], runsc="/r")
    daemon = json.loads(text)
    assert daemon["bridge"] == "none" and daemon["iptables"] is daemon["ip6tables"] is False
    assert daemon["live-restore"] is True and daemon["registry-mirrors"] == ["http://127.0.0.1:1"]
    assert daemon["runtimes"]["runsc"]["runtimeArgs"] == ["--network=host"]
    shared = [daemon[key] for key in ("data-root", "exec-root", "pidfile", "containerd")]
    assert all(path.startswith(str(tmp_path)) for path in (*shared, daemon["hosts"][0][7:]))
    assert json.loads(engine_files.daemon(places, "x"))["runtimes"] == {}
