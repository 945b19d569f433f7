"""A Keystone of a test cloud; tells who the service is: `STATE_DIR CONTAINER_URL [ADDRESS]`."""

import sys
import threading
from pathlib import Path

import msgspec

from dolium.beside.keystone import Keystone


def main(state: str, url: str, address: str = "127.0.0.1") -> None:
    keystone = Keystone(Path(state), address=address, services={"container": url} if url else {})
    keystone.start()
    Path(state, "service.json").write_bytes(msgspec.json.encode(keystone.credentials("dolium")))
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
