"""Placement on loopback, run by the Python of .venv-placement: serve_placement.py PORT."""

import sys

from loopback import serve  # type: ignore[import-not-found]


def main() -> None:
    port = int(sys.argv[1])
    sys.argv = ["placement"]  # which it would read itself
    from placement.wsgi.api import application  # type: ignore[import-not-found]

    serve(port, application)


if __name__ == "__main__":
    main()
