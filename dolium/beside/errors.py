"""Why a process beside Dolium can't run: each class is one sentence that says what to do."""

from __future__ import annotations

from dolium import errors


class NotRoot(errors.StartError):
    """Namespaces, mounts and links belong to root; joining the docker group is no way around."""

    code = "dolium.start.not_root"
    text = "Containers need root on this machine: run `sudo {command}`."


class DockerMissing(errors.StartError):
    """No engine answers and there is no binary to start one."""

    code = "dolium.start.docker_missing"
    text = (
        "No Docker Engine answers and {binary} is not installed: "
        "run `sudo apt-get install docker.io`, or name an engine's socket in the configuration."
    )


class EngineSilent(errors.StartError):
    """A socket somebody configured, behind which nothing answers."""

    code = "dolium.start.engine_silent"
    text = "The engine at {socket} does not answer ({why}): start it, or configure another socket."


class EngineDied(errors.StartError):
    """One of our own engine's daemons ended while starting."""

    code = "dolium.start.engine_died"
    text = "{daemon} did not start: {why} (log: {log})."


class DiskFull(errors.StartError):
    """Too little room for images; checked before anything is started."""

    code = "dolium.start.disk_full"
    text = (
        "{folder} has {free} MB free and images need at least {minimum} MB: "
        "make room there or choose another state folder."
    )


class KernelLacks(errors.StartError):
    """Something was tried in a namespace of its own and the kernel refused it."""

    code = "dolium.start.kernel_lacks"
    text = "This kernel can't do what containers need: {what} is missing{hint}."


class ToolMissing(errors.StartError):
    """A command line tool that Dolium calls is not installed."""

    code = "dolium.start.tool_missing"
    text = "The command {tool} is missing: run `sudo apt-get install {package}`."


class PathTooLong(errors.StartError):
    """The kernel allows 107 bytes for a socket's path."""

    code = "dolium.start.path_too_long"
    text = "The socket path {path} is longer than the kernel allows: choose a shorter run folder."


class PortTaken(errors.StartError):
    """Somebody else listens where Keystone should."""

    code = "dolium.start.port_taken"
    text = "Port {port} on {address} is in use{holder}: stop that or configure another port."


class KeystoneMissing(errors.StartError):
    """Keystone comes with the `aio` extra and is not part of a plain installation."""

    code = "dolium.start.keystone_missing"
    text = "Keystone is not installed: run `pip install 'dolium[aio]'`."


class KeystoneDied(errors.StartError):
    """Keystone ended, or did not answer in time, while starting."""

    code = "dolium.start.keystone_died"
    text = "Keystone did not start: {why} (log: {log})."
