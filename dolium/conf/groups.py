"""The groups of options: one struct each, whose fields' types, defaults and descriptions become the
options, the sample and the reference page, so that nothing is written twice.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from dolium import errors


def _about(text: str, **bounds: Any) -> Meta:
    return Meta(description=text, **bounds)


def is_loopback(address: str) -> bool:
    """Whether only this machine can speak to it."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class Default(Struct, frozen=True):
    """`[DEFAULT]`: the service as a whole."""

    state_dir: Annotated[str, _about("Folder of the database, keys, journal and logs.")] = (
        "/var/lib/dolium"
    )
    host: Annotated[str, _about("Name of this host; empty: the machine's own.")] = ""
    debug: Annotated[bool, _about("Log more.")] = False
    log_format: Annotated[
        str, _about("Form of the log: `text`, or `json` for programs.", pattern="^(text|json)$")
    ] = "text"
    secret_key_file: Annotated[
        str,
        _about(
            "File of the keys that passwords of registries are sealed with in the database, one a "
            "line: the first seals, all open. Every API and conductor process needs the same; "
            "empty: secrets.key in the state directory, made at the first start."
        ),
    ] = ""
    min_free_mib: Annotated[
        int, _about("Refuse to start with less free disk than this, in MiB.", ge=0)
    ] = 500


class Api(Struct, frozen=True):
    """`[api]`: the container API."""

    listen: Annotated[str, _about("Address to listen on; one that is not loopback needs TLS.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _about("TCP port.", ge=1, le=65535)] = 9517
    tls_cert: Annotated[
        str, _about("Certificate with its chain, PEM; empty: Dolium's CA makes one where needed.")
    ] = ""
    tls_key: Annotated[str, _about("Its key, PEM, without a password.")] = ""
    public_url: Annotated[
        str, _about("Where clients find the API; empty: where it listens, links as they came.")
    ] = ""

    @property
    def local(self) -> bool:
        """Whether only this machine speaks to it, with nothing in front of it."""
        return is_loopback(self.listen) and not self.public_url

    @property
    def public(self) -> str:
        """The same without a version."""
        return self.public_url.rstrip("/").removesuffix("/v1")

    threads: Annotated[int, _about("Requests answered at the same time.", ge=1)] = 16
    watchers: Annotated[
        int,
        _about(
            "How many may watch events or follow logs at the same time; each holds a thread.", ge=1
        ),
    ] = 256
    max_limit: Annotated[int, _about("Most items of a page.", ge=1)] = 1000
    policy_file: Annotated[str, _about("oslo.policy file that overrides defaults.")] = ""
    token_memo_s: Annotated[
        int, _about("Seconds a validated token is remembered; a revoked one works no longer.", ge=0)
    ] = 60


class Database(Struct, frozen=True):
    """`[database]`: where wishes and facts are written down."""

    connection: Annotated[
        str,
        _about(
            "Address of a server: mariadb+pymysql://USER:PASSWORD@HOST/NAME (10.6 or newer, Galera "
            "too) or postgresql+psycopg://… (14 or newer); empty: an SQLite file in state_dir. "
            "HOST may be several with commas between: the first that answers is used."
        ),
    ] = ""
    connections: Annotated[int, _about("Most connections of one process to the server.", ge=2)] = 32


class Identity(Struct, frozen=True):
    """`[identity]`: the Keystone that `dolium up` runs beside itself."""

    listen: Annotated[str, _about("Address the Keystone listens on.")] = "127.0.0.1"
    port: Annotated[int, _about("TCP port of the Keystone.", ge=1, le=65535)] = 5000
    region: Annotated[str, _about("Region in the catalog.")] = "RegionOne"


class Keystone(Struct, frozen=True):
    """`[keystone]`: the cloud's identity service, for `dolium serve --role api`."""

    auth_url: Annotated[str, _about("Where it answers, such as https://keystone:5000/v3.")] = ""
    username: Annotated[str, _about("User that validates tokens; has role service or admin.")] = (
        "dolium"
    )
    password: Annotated[str, _about("Its password.")] = ""
    project_name: Annotated[str, _about("Its project.")] = "service"
    user_domain_name: Annotated[str, _about("Its domain.")] = "Default"
    project_domain_name: Annotated[str, _about("The domain of its project.")] = "Default"
    region_name: Annotated[str, _about("Region of this Dolium; empty: the only one.")] = ""
    cafile: Annotated[str, _about("CA of the identity service, PEM; empty: the system's.")] = ""
    public_url: Annotated[
        str, _about("Where users get tokens, told with each 401; empty: auth_url.")
    ] = ""


class Engine(Struct, frozen=True):
    """`[engine]`: what runs containers on this host."""

    driver: Annotated[str, _about("Engine driver: docker or podman.")] = "docker"
    socket: Annotated[
        str, _about("Socket of the engine; empty: use the one that answers, else start one.")
    ] = ""
    tenant_runtime: Annotated[
        str, _about("OCI runtime of containers that name none, for example runsc.")
    ] = ""
    registry_mirrors: Annotated[
        list[str], _about("Mirrors for an engine that Dolium starts itself.")
    ] = msgspec.field(default_factory=list)
    pids_limit: Annotated[int, _about("Most processes of one container.", ge=1)] = 512
    execute_timeout_s: Annotated[int, _about("Seconds a non-interactive exec may take.", ge=1)] = 5


class Limits(Struct, frozen=True):
    """`[limits]`: what one container may ask for."""

    minimum_cpus: Annotated[float, _about("Least CPUs.")] = 0.1
    maximum_cpus: Annotated[float, _about("Most CPUs.")] = 16.0
    default_cpu: Annotated[float, _about("CPUs when none are named.")] = 1.0
    minimum_memory: Annotated[int, _about("Least memory, in MiB.")] = 4
    maximum_memory: Annotated[int, _about("Most memory, in MiB.")] = 8192
    default_memory: Annotated[int, _about("Memory when none is named, in MiB.")] = 512
    minimum_disk: Annotated[int, _about("Least disk, in GiB.")] = 1
    maximum_disk: Annotated[int, _about("Most disk, in GiB.")] = 160
    # In base 64 it has to fit into one message of the link (link/wire.py, MOST_ASKED).
    maximum_archive: Annotated[
        int, _about("Largest archive of files copied in or out at once, in MiB.", ge=1, le=5)
    ] = 4

    maximum_file: Annotated[
        int,
        _about(
            "Largest file given with a container (`mounts` of type bind), in KiB.", ge=1, le=512
        ),
    ] = 64

    @property
    def file(self) -> int:
        """Bytes of the largest file."""
        return self.maximum_file << 10

    @property
    def archive(self) -> int:
        """Bytes of the largest archive."""
        return self.maximum_archive << 20


class Quota(Struct, frozen=True):
    """`[quota]`: what one project may use; -1 is unlimited."""

    containers: Annotated[int, _about("Containers.", ge=-1)] = 40
    cpu: Annotated[int, _about("CPUs.", ge=-1)] = 20
    memory: Annotated[int, _about("Memory in MiB.", ge=-1)] = 51200
    disk: Annotated[int, _about("Disk in GiB.", ge=-1)] = 100


class Place(Struct, frozen=True):
    """`[place]`: where this host stands, and what it offers to containers that ask for it."""

    region: Annotated[str, _about("Region of the cloud.", pattern="^[^/]*$")] = ""
    zone: Annotated[str, _about("Availability zone.", pattern="^[^/]+$")] = "nova"
    rack: Annotated[
        str,
        _about(
            "Rack, or what else shares power and a switch; hosts that name none count as one rack "
            "of their zone.",
            pattern="^[^/]*$",
        ),
    ] = ""
    hypervisor: Annotated[
        str,
        _about(
            "The physical machine under this host, where it is a server of a cloud; empty: it is "
            "one itself.",
            pattern="^[^/]*$",
        ),
    ] = ""
    compute_node: Annotated[
        str,
        _about(
            "The name of this machine's compute node in Placement, where Nova runs servers on it "
            "too and `[placing] arbiter` is placement (its hypervisor hostname); empty: the host "
            "is Dolium's alone."
        ),
    ] = ""
    labels: Annotated[
        list[str], _about("Labels that containers may ask for (`label:disk=ssd`): `disk=ssd`, ...")
    ] = msgspec.field(default_factory=list)
    enable_cpu_pinning: Annotated[
        bool,
        _about(
            "Give whole CPUs to one container alone where it asks for `cpu_policy` dedicated: they "
            "are used by nobody else."
        ),
    ] = False

    def labelled(self) -> dict[str, str]:
        """The labels by name; raises StartError for one without a value."""
        found = {}
        for label in self.labels:
            name, equals, value = label.partition("=")
            if not name or not equals:
                raise errors.StartError(
                    why=f"The configuration can't be read: [place] labels: {label!r} is not "
                    "NAME=VALUE"
                )
            found[name.strip()] = value.strip()
        return found


class Placing(Struct, frozen=True):
    """`[placing]`: which host a container gets, and how full hosts may get."""

    policy: Annotated[
        str,
        _about(
            "What decides among hosts that will do: `spread` (the emptiest) or `pack` (the fullest "
            "first, which keeps others free)."
        ),
    ] = "spread"
    samples: Annotated[
        int,
        _about(
            "Hosts with room that are compared for one decision; 0: the binary logarithm of how "
            "many hosts there are.",
            ge=0,
        ),
    ] = 0

    arbiter: Annotated[
        str,
        _about(
            "The claim driver that has the last word about a host's room: `placement`, where hosts "
            "are shared with Nova; empty: Dolium's own database."
        ),
    ] = ""
    hypervisors: Annotated[
        str,
        _about(
            "Who is asked for the physical machine under each host whose agent names none: `nova`, "
            "with the account of `[fence_nova]`, for hosts that are servers of a cloud; empty: "
            "nobody.",
            pattern="^(nova)?$",
        ),
    ] = ""
    cpu_ratio: Annotated[float, _about("CPUs promised per CPU there is.", gt=0)] = 16.0
    memory_ratio: Annotated[float, _about("Memory promised per memory there is.", gt=0)] = 1.5
    reserved_memory: Annotated[int, _about("MiB kept for the host itself.", ge=0)] = 512


class Network(Struct, frozen=True):
    """`[network]`: networks of containers."""

    driver: Annotated[str, _about("Network driver, and the binder of the same name.")] = "bridge"
    pool_v4: Annotated[str, _about("Range that default networks are cut from, IPv4.")] = (
        "10.224.0.0/12"
    )
    pool_v6: Annotated[
        str, _about("The same for IPv6; empty: a random unique local /48 of this installation.")
    ] = ""
    command_line_project: Annotated[
        str,
        _about(
            "Id of the project whose networks people with access to the engine's socket may use "
            "by `docker run --net`; empty: nobody."
        ),
    ] = ""
    plugin_dir: Annotated[str, _about("Where Docker looks for plugin sockets.")] = (
        "/run/docker/plugins"
    )


class Agent(Struct, frozen=True):
    """`[agent]`: the agent of this host."""

    look_s: Annotated[int, _about("Seconds between two looks at everything.", ge=1)] = 30
    workers: Annotated[int, _about("Containers worked on at once; 0: twice the cores.", ge=0)] = 0
    ready_sandboxes: Annotated[
        int,
        _about(
            "Sandboxes that run before a capsule wants one, on a host that had a capsule in the "
            "last ten minutes; 0: none.",
            ge=0,
        ),
    ] = 1


class Link(Struct, frozen=True):
    """`[link]`: how hosts and control processes of several machines talk."""

    ca_dir: Annotated[
        str, _about("Folder of Dolium's CA on control nodes; empty: ca in the state directory.")
    ] = ""
    listen: Annotated[str, _about("Address a control process listens on.")] = "127.0.0.1"
    port: Annotated[int, _about("Its TCP port; 0: any that is free.", ge=0, le=65535)] = 9518
    conductor_port: Annotated[
        int, _about("The same of a conductor, which may be beside an API.", ge=0, le=65535)
    ] = 9520
    address: Annotated[
        str, _about("Where other control processes reach it; empty: the address it listens on.")
    ] = ""
    polls: Annotated[int, _about("Agents that wait on one control process at most.", ge=1)] = 2000
    url: Annotated[
        list[str], _about("Where agents find control processes: https://ADDRESS:PORT, several.")
    ] = msgspec.field(default_factory=list)
    agent_listen: Annotated[str, _about("Address an agent answers control processes on.")] = (
        "127.0.0.1"
    )
    agent_port: Annotated[int, _about("Its TCP port.", ge=1, le=65535)] = 9519
    agent_address: Annotated[
        str, _about("Where control processes reach it; empty: the address it speaks to them by.")
    ] = ""


class Wsproxy(Struct, frozen=True):
    """`[wsproxy]`: the websocket proxy, by which clients come to consoles."""

    listen: Annotated[str, _about("Address it listens on; one that is not loopback needs TLS.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _about("Its TCP port.", ge=1, le=65535)] = 6784
    base_url: Annotated[
        str,
        _about(
            "Where clients find it, ws://ADDRESS:PORT/ or wss://…: the API hands this out; empty: "
            "where it listens.",
            pattern="^(wss?://.+)?$",
        ),
    ] = ""
    allowed_origins: Annotated[
        list[str],
        _about(
            "Host names of web pages that may open consoles, such as a dashboard's, besides pages "
            "of the proxy's own host."
        ),
    ] = msgspec.field(default_factory=list)
    tls_cert: Annotated[
        str,
        _about(
            "Certificate with its chain, PEM; empty: Dolium's CA makes one where needed. Clients "
            "believe only what the certificates of their system vouch for."
        ),
    ] = ""
    tls_key: Annotated[str, _about("Its key, PEM, without a password.")] = ""
    consoles: Annotated[int, _about("Consoles that are open at the same time.", ge=1)] = 2000

    @property
    def public(self) -> str:
        """base_url as a query can follow it; empty where it is not set."""
        return f"{self.base_url.rstrip('/')}/" if self.base_url else ""


class Metrics(Struct, frozen=True):
    """`[metrics]`: a small server beside a role, with /metrics and /healthcheck."""

    listen: Annotated[
        str, _about("Address it listens on; one that is not loopback needs tls_cert and tls_key.")
    ] = "127.0.0.1"
    api_port: Annotated[int, _about("TCP port of an API process; 0: none.", ge=0, le=65535)] = 0
    conductor_port: Annotated[int, _about("The same of a conductor.", ge=0, le=65535)] = 0
    wsproxy_port: Annotated[int, _about("The same of a websocket proxy.", ge=0, le=65535)] = 0
    agent_port: Annotated[int, _about("The same of an agent.", ge=0, le=65535)] = 0
    tls_cert: Annotated[str, _about("Certificate with its chain, PEM.")] = ""
    tls_key: Annotated[str, _about("Its key, PEM, without a password.")] = ""

    def port(self, role: str) -> int:
        """Of the server beside a role; 0: none."""
        return int(getattr(self, f"{role}_port"))


LEAST_LEASE_S = 30
"""Three times what an agent waits for an answer at most."""


class Hosts(Struct, frozen=True):
    """`[hosts]`: hosts that fall silent."""

    silent_s: Annotated[
        int, _about("Seconds without a sign of life until a host counts as silent.", ge=20)
    ] = 30
    lease_s: Annotated[
        int,
        _about(
            "On a host: seconds without an answer of the control plane after which its agent stops "
            "the containers with auto_heal, because they may run elsewhere by then; 0: it never "
            "does, and a silent host is proven gone only by `fence` or by an operator.",
            ge=0,
        ),
    ] = 0
    margin_s: Annotated[
        int, _about("Seconds a lease is allowed to be late by, beside silent_s.", ge=10)
    ] = 30
    fence: Annotated[
        list[str],
        _about("Fence drivers that are asked, in this order, whether a silent host is off."),
    ] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        if 0 < self.lease_s < LEAST_LEASE_S:
            raise ValueError(f"lease_s must be 0 or at least {LEAST_LEASE_S}")


class FenceCommand(Struct, frozen=True):
    """`[fence_command]`: the fence driver `command`, an operator's own program."""

    program: Annotated[
        list[str],
        _about(
            "The program and its arguments, with commas between; it gets the host's name as last "
            "argument. Exit status 0 says that the host is off for certain."
        ),
    ] = msgspec.field(default_factory=list)
    timeout_s: Annotated[int, _about("Seconds it may take.", ge=1)] = 60


class FenceNova(Struct, frozen=True):
    """`[fence_nova]`: the fence driver `nova`, for hosts that are servers of a cloud."""

    auth_url: Annotated[str, _about("Keystone of that cloud.")] = ""
    username: Annotated[str, _about("User that may see and stop the servers.")] = ""
    password: Annotated[str, _about("Its password.")] = ""
    project_name: Annotated[str, _about("Project of the servers.")] = ""
    domain_name: Annotated[str, _about("Domain of user and project.")] = "Default"
    region_name: Annotated[str, _about("Region of the servers; empty: the only one.")] = ""
    power_off: Annotated[
        bool, _about("Stop the server of a silent host; otherwise only look whether it is off.")
    ] = True
    timeout_s: Annotated[int, _about("Seconds until a stopped server has to be off.", ge=1)] = 60


class Placement(Struct, frozen=True):
    """`[placement]`: the claim driver `placement`, OpenStack's Placement (Xena or newer)."""

    auth_url: Annotated[str, _about("Keystone of the cloud.")] = ""
    username: Annotated[str, _about("User with the service or admin role.")] = ""
    password: Annotated[str, _about("Its password.")] = ""
    project_name: Annotated[str, _about("Its project.")] = "service"
    domain_name: Annotated[str, _about("Domain of user and project.")] = "Default"
    region_name: Annotated[str, _about("Region of Placement; empty: the only one.")] = ""
    endpoint: Annotated[str, _about("Where Placement is; empty: as the catalog says.")] = ""


class Glance(Struct, frozen=True):
    """`[glance]`: OpenStack's image service, for image_driver glance and for commits."""

    auth_url: Annotated[str, _about("Keystone of the cloud; empty: there is no Glance.")] = ""
    username: Annotated[
        str, _about("User that may read, write and delete the images of every project: role admin.")
    ] = ""
    password: Annotated[str, _about("Its password.")] = ""
    project_name: Annotated[str, _about("Its project.")] = "service"
    domain_name: Annotated[str, _about("Domain of user and project.")] = "Default"
    region_name: Annotated[str, _about("Region of Glance; empty: the only one.")] = ""
    endpoint: Annotated[str, _about("Where Glance is; empty: as the catalog says.")] = ""
    cafile: Annotated[str, _about("CA of Keystone and Glance, PEM; empty: the system's.")] = ""
