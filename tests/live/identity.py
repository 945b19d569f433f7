"""A Keystone of a test cloud: `identity.py STATE_DIR CONTAINER_URL`; tells who the service is."""

import sys
import threading
from pathlib import Path

import msgspec

from dolium.beside.keystone import Keystone


def main(state: str, url: str) -> None:
    keystone = Keystone(Path(state), services={"container": url})
    keystone.start()
    Path(state, "service.json").write_bytes(msgspec.json.encode(keystone.credentials("dolium")))
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
