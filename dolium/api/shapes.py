"""Shapes of answers, for the description of the API (api/openapi.py).

What clients get is spliced or put together where it is known; these say what it looks like, and
every answer in the tests is held against them. Names and order are the container API's
(Zun 1.40). A field that may be UNSET is hidden from some, or not in every answer.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from dolium.model.capsule import State
from dolium.model.container import RestartPolicy, Status, Task
from dolium.model.network import Address

Spaced = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$", description="UTC")]
Iso = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$", description="UTC")]
MiB = Annotated[str, Meta(pattern="^[0-9]+$", description="MiB")]


class Shape(Struct, forbid_unknown_fields=True):
    """What has these fields and no others."""


class Link(Shape):
    """Where something is found."""

    href: str
    rel: str


Links = list[Link]
Next = Annotated[str | None, Meta(description="The address of the next page")]


class Unknown(Shape):
    """Why a bearer is not known."""

    code: int
    title: str
    message: str


class Unauthorized(Shape):
    """What Keystone's own middleware answers."""

    error: Unknown


class Fault(Shape, kw_only=True):
    """One error. `title` is the sentence that clients print."""

    request_id: str
    code: str
    status: int
    title: str
    detail: str
    links: Links
    min_version: str | UnsetType = UNSET
    max_version: str | UnsetType = UNSET


class Faults(Shape):
    """What every refusal looks like."""

    errors: list[Fault]


class Container(Shape, kw_only=True):
    """A container. `links` are not in lists; some fields are for administrators only."""

    uuid: str
    links: Links | UnsetType = UNSET
    name: str
    project_id: str
    user_id: str
    status: Status
    status_reason: str | None
    task_state: Task | None
    image: str
    cpu: float
    cpu_policy: str
    memory: MiB
    auto_remove: bool
    labels: dict[str, str] | None
    restart_policy: RestartPolicy | None
    interactive: bool
    tty: bool
    image_driver: str
    security_groups: list[str] | None
    disk: Annotated[int, Meta(description="GiB; 0: as much as there is")]
    auto_heal: bool
    healthcheck: dict[str, Any] | None
    registry_id: str | None
    command: list[str] | None
    environment: dict[str, str] | None
    workdir: str | None
    ports: list[int] | None
    hostname: str | None
    entrypoint: list[str] | None
    addresses: dict[str, list[Address]] | None
    host: str | UnsetType | None = UNSET
    image_pull_policy: str | UnsetType | None = UNSET
    privileged: bool | UnsetType = UNSET
    runtime: str | UnsetType | None = UNSET
    status_detail: str | None
    created_at: Spaced
    updated_at: Spaced | None


class Containers(Shape):
    """A page of containers."""

    containers: list[Container]
    next: Next


class Capsule(Shape, kw_only=True):
    """Containers that share a network. Until 1.31 some fields have other names."""

    uuid: str
    links: Links
    name: str
    project_id: str
    user_id: str
    cpu: float
    memory: MiB
    status: State
    status_reason: str | None
    labels: dict[str, str] | None
    addresses: dict[str, list[Address]] | None
    restart_policy: RestartPolicy | None
    annotations: dict[str, Any] | None
    host: str | UnsetType | None = UNSET
    created_at: Spaced
    updated_at: Spaced | None
    containers: list[Container]
    init_containers: list[Container]


class Capsules(Shape):
    """A page of capsules."""

    capsules: list[Capsule]
    next: Next


class Moment(Shape):
    """One step of an action."""

    event: str
    start_time: Iso
    finish_time: Iso | None
    result: str | None
    traceback: str | None


class Action(Shape, kw_only=True):
    """What was asked of a container; `events` when it is shown alone."""

    action: str
    container_uuid: str
    request_id: str
    user_id: str
    project_id: str
    start_time: Iso
    finish_time: Iso | None
    message: str | None
    events: list[Moment] | UnsetType = UNSET


class Actions(Shape):
    """What was asked of a container, newest first."""

    actions: list[Action] = field(name="containerActions")


class Made(Shape):
    """The id of an image."""

    uuid: str


class Done(Shape):
    """What came of a command, or where its terminal is."""

    output: str | None
    exit_code: int | None
    exec_id: str | None
    proxy_url: str | None


class Processes(Shape, rename="pascal"):
    """A table of processes."""

    titles: list[str]
    processes: list[list[str]]


class Stats(Shape):
    """What a container uses."""

    container: str = field(name="CONTAINER")
    cpu: float = field(name="CPU %")
    memory: float = field(name="MEM USAGE(MiB)")
    limit: float = field(name="MEM LIMIT(MiB)")
    share: float = field(name="MEM %")
    blocks: str = field(name="BLOCK I/O(B)")
    network: str = field(name="NET I/O(B)")


class Archive(Shape):
    """A tar, in base 64, and what it is of."""

    data: str
    stat: dict[str, Any]


class FixedIp(Shape):
    """An address of a port."""

    subnet_id: str | None
    version: int
    ip_address: str


class Attachment(Shape):
    """A port of a container. Before 1.18 there is one for each address, without `fixed_ips`."""

    net_id: str
    port_id: str
    fixed_ips: list[FixedIp]


class Attachments(Shape):
    """The networks of a container."""

    networks: list[Attachment]


class Host(Shape):
    """A host: what it has, and how much of it is promised."""

    uuid: str
    links: Links
    hostname: str
    mem_total: int
    mem_used: int
    total_containers: int
    cpus: int
    cpu_used: float
    architecture: str
    os_type: str
    os: str
    kernel_version: str
    labels: dict[str, str]
    disk_total: int
    disk_used: int
    disk_quota_supported: bool
    runtimes: list[str]
    enable_cpu_pinning: bool


class Hosts(Shape):
    """A page of hosts."""

    hosts: list[Host]
    next: Next


class Service(Shape):
    """The agent of a host."""

    id: int
    host: str
    binary: str
    disabled: bool
    disabled_reason: str | None
    last_seen_up: Iso | None
    forced_down: bool
    report_count: int
    availability_zone: str
    created_at: Iso
    updated_at: Iso | None
    state: str


class Services(Shape):
    """All agents."""

    services: list[Service]


class Switched(Shape):
    """What was changed of an agent."""

    host: str
    binary: str
    disabled: bool | UnsetType = UNSET
    disabled_reason: str | UnsetType | None = UNSET
    forced_down: bool | UnsetType = UNSET


class SwitchedService(Shape):
    """The same under its name."""

    service: Switched


class Zone(Shape):
    """A part of the cloud."""

    availability_zone: str


class Zones(Shape):
    """All parts of the cloud."""

    availability_zones: list[Zone]
    next: Next


class Image(Shape):
    """An image of a host."""

    uuid: str
    links: Links
    image_id: str | None
    project_id: str
    repo: str
    tag: str
    size: str | None
    host: str
    status_reason: str | None


class Images(Shape):
    """A page of images of hosts."""

    images: list[Image]
    next: Next


class Found(Shape, kw_only=True):
    """An image that a registry has, with description and metadata, or one of Glance."""

    name: str | None
    description: str | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    container_format: str | UnsetType | None = UNSET
    os_hash_algo: str | UnsetType | None = UNSET
    os_hash_value: str | UnsetType | None = UNSET
    checksum: str | UnsetType | None = UNSET
    size: int | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET


class Network(Shape):
    """A network that is known to the service."""

    uuid: str
    project_id: str | None
    user_id: str
    name: str
    network_id: str | None
    neutron_net_id: str


class Limits(Shape):
    """Limits of a project; -1 is none."""

    containers: int
    memory: Annotated[int, Meta(description="MiB")]
    disk: Annotated[int, Meta(description="GiB")]
    cpu: int


class Used(Shape):
    """A limit and what is used of it."""

    limit: int
    in_use: float


class Usages(Shape):
    """Limits of a project, with `?usages=True` together with what is used of them."""

    containers: int | Used
    memory: int | Used
    disk: int | Used
    cpu: int | Used


class RegistryFields(Shape, kw_only=True):
    """A registry; its password is never told. `links` are not in lists."""

    uuid: str
    links: Links | UnsetType = UNSET
    name: str | None
    project_id: str
    user_id: str
    domain: str
    username: str | None
    password: str


class Registry(Shape):
    """A registry under its name."""

    registry: RegistryFields


class Registries(Shape):
    """A page of registries."""

    registries: list[RegistryFields]
    next: Next
