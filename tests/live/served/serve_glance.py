"""Glance on a port of loopback, run by the Python of .venv-nova: serve_glance.py PORT FOLDER.

FOLDER/glance-api.conf says who its users are; images and a database in a file are kept there too.
"""

import os
import sys
import warnings
from pathlib import Path


def main(port: str, folder: str) -> None:
    warnings.simplefilter("ignore")
    sys.argv = ["glance-api"]  # which it would read itself
    os.environ["OS_GLANCE_CONFIG_DIR"] = folder
    Path(folder, "images").mkdir(exist_ok=True)
    import sqlalchemy as sa  # type: ignore[import-not-found,unused-ignore]
    from cheroot.wsgi import Server
    from glance.db.sqlalchemy import models, models_metadef  # type: ignore[import-not-found]

    engine = sa.create_engine(f"sqlite:///{folder}/glance.sqlite")
    models.register_models(engine)
    models_metadef.register_models(engine)
    engine.dispose()
    from glance.wsgi.api import application  # type: ignore[import-not-found]

    # A server that tells applications the length of no body, as clouds' servers do.
    Server(("127.0.0.1", int(port)), application, numthreads=8).safe_start()


if __name__ == "__main__":
    main(*sys.argv[1:])
