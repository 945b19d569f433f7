"""What the demo's images are made of when no registry can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Needed by maintainer scripts, which do not run here, or by what a demo does not do (php-gd).
UNUSED = (
    *("apache2", "debconf", "default-mysql-client", "init-system-helpers", "lsb-base"),
    *("openssl", "perl", "php-gd", "psmisc", "sysvinit-utils", "ucf"),
)


@dataclass(frozen=True)
class Recipe:
    """One image: Debian packages and our own files on top of BusyBox, and how it starts."""

    name: str
    content: str
    config: Mapping[str, Any]
    packages: tuple[str, ...] = ()
    recommended: tuple[str, str] | None = None
    """(package, prefix): also what that package recommends under a name with that prefix."""
    files: str | None = None
    """Folder below files/ whose tree is copied over the packages' files."""
    assumed: tuple[str, ...] = field(default=UNUSED)


def _shell(name: str) -> Recipe:
    return Recipe(name, "BusyBox", {"Cmd": ["sh"]})


RECIPES = {
    recipe.name: recipe
    for recipe in (
        _shell("cirros:latest"),
        _shell("busybox:latest"),
        _shell("alpine:latest"),
        Recipe(
            "nginx:latest",
            "BusyBox httpd",
            {
                "Entrypoint": ["/usr/local/bin/entrypoint"],
                "ExposedPorts": {"80/tcp": {}},
                "StopSignal": "SIGQUIT",
            },
            files="nginx",
        ),
        Recipe(
            "mysql:latest",
            "MariaDB",
            {
                "Entrypoint": ["/usr/local/bin/entrypoint"],
                "Cmd": ["mysqld"],
                "ExposedPorts": {"3306/tcp": {}},
            },
            packages=("mariadb-server-core", "mariadb-client-core"),
            files="mysql",
        ),
        Recipe(
            "wordpress:latest",
            "WordPress, Apache and PHP",
            {
                "Entrypoint": ["/usr/local/bin/entrypoint"],
                "Cmd": ["apache2", "-D", "FOREGROUND"],
                "WorkingDir": "/usr/share/wordpress",
                "ExposedPorts": {"80/tcp": {}},
            },
            packages=("wordpress", "libapache2-mod-php", "php-mysql"),
            recommended=("wordpress", "wordpress-theme-"),
            files="wordpress",
        ),
    )
}
