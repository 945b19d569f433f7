"""The tables. Only what is searched or changed often is a column; the rest is one document.

Times are seconds since the epoch, amounts are integers (milli-CPU, MiB, GiB).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

HEAD = "0018"
"""The migration that makes this schema; a warm start compares it and loads nothing else."""

FITS = "0009"
"""The oldest HEAD of a Dolium that works with this schema too, so that a cloud can be upgraded one
process after another. Migrations after it only add what an older Dolium need not know
(tests/store/test_migrations.py); one that does more has to be named here."""

metadata = MetaData()

# BigInteger is no rowid alias in SQLite, so numbering columns say Integer there.
_Serial = BigInteger().with_variant(Integer, "sqlite")
# MariaDB's BLOB without a length ends at 64 KiB (and its FLOAT has 4 bytes, so times are Double).
_Blob = LargeBinary(2**24 - 1)

deployment = Table(
    "deployment",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: there is only one
    Column("uuid", String(36), nullable=False),
    Column("created_at", Double, nullable=False),
)

compatibility = Table(
    "compatibility",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("since", String(32), nullable=False),  # FITS of who made the schema
)

members = Table(
    "members",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("host", String(255), nullable=False),
    Column("address", String(255), nullable=False),
    Column("version", String(64), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat", BigInteger, nullable=False),
)

hosts = Table(
    "hosts",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("boot", String(36), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("zone", String(255), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("inventory", _Blob, nullable=False),
    Column("total_cpu_m", BigInteger, nullable=False),
    Column("total_memory_mib", BigInteger, nullable=False),
    Column("total_disk_gib", BigInteger, nullable=False),
    Column("used_cpu_m", BigInteger, nullable=False),
    Column("used_memory_mib", BigInteger, nullable=False),
    Column("used_disk_gib", BigInteger, nullable=False),
    Column("total_dedicated", Integer, nullable=False, server_default="0"),
    Column("used_dedicated", Integer, nullable=False, server_default="0"),
    Column("revision", BigInteger, nullable=False),
    Column("horizon", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Column("address", String(255)),
    Column("port", Integer),
    Column("hypervisor", String(255)),  # found by others than its agent, whose word goes first
    # Whether it lives; "beat" counts its signs of life.
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("heard_at", Double),
    Column("lease_s", Integer, nullable=False, server_default="0"),
    Column("silent", Boolean, nullable=False, server_default=false()),
    Column("silent_at", Double),
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("forced_down", Boolean, nullable=False, server_default=false()),
    Column("forced_beat", BigInteger),
    Column("proof", String(255)),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("token_sha256", String(64)),
    Column("token_until", Double),
    Column("request_sha256", String(64)),
    Column("updated_at", Double, nullable=False),
)

containers = Table(
    "containers",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("image", String(255), nullable=False),
    Column("memory", String(16), nullable=False),
    Column("auto_remove", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("status_reason", Text),
    Column("task_state", String(32)),
    Column("host", String(255)),
    Column("stage", String(8), nullable=False),
    Column("wanted", String(8), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("created_generation", Integer, nullable=False),
    Column("start_epoch", Integer, nullable=False),
    Column("observed_generation", Integer, nullable=False),
    Column("fact_epoch", Integer, nullable=False),
    Column("fact_sequence", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("cpu_m", BigInteger, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_gib", BigInteger, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("exit_code", Integer),
    Column("health", String(16)),
    Column("progress", String(64)),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Column("spec", _Blob, nullable=False),
    Column("shown", _Blob, nullable=False),
    Column("guarded", _Blob, nullable=False),
    Column("look", _Blob, nullable=False),
    Column("addresses", _Blob, nullable=False),
    Column("group_id", BigInteger),
    Column("placed_reason", Text),
    Column("claims_ended", Integer, nullable=False, server_default="0"),
    Column("registry_id", String(36)),
    Column("capsule_id", String(36)),  # of the sandbox: its own id
    Column("part", String(16)),
    Index("ix_containers_project", "project_id", "id"),
    Index("ix_containers_host", "host", "revision"),
    Index("ix_containers_stage", "stage"),
    Index("ix_containers_group", "group_id"),
    Index("ix_containers_capsule", "capsule_id"),
    sqlite_autoincrement=True,
)

consoles = Table(  # who may come to a terminal: one token each, until it is used or too old
    "consoles",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("container_uuid", String(36), nullable=False),
    Column("exec_id", String(64), nullable=False),  # empty: the container's main process
    Column("until", Double, nullable=False, index=True),
)

registries = Table(
    "registries",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255)),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("domain", String(255), nullable=False),
    Column("username", String(255)),
    Column("sealed", Text),  # the password, as control/cipher.py keeps it
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Index("ix_registries_project", "project_id", "id"),
)

images = Table(  # that administrators asked hosts for
    "images",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("host", String(255), nullable=False),
    Column("repo", String(255), nullable=False),
    Column("tag", String(128), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("reason", Text),
    Column("image_id", String(128)),
    Column("size", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    UniqueConstraint("host", "repo", "tag", name="uq_images_name"),
    Index("ix_images_stage", "stage"),
)

claims = Table(
    "claims",
    metadata,
    Column("container_uuid", String(36), primary_key=True),
    Column("host", String(255), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("cpu_m", BigInteger, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_gib", BigInteger, nullable=False),
    Column("dedicated", Integer, nullable=False, server_default="0"),
    Column("consumer", String(36)),  # what Placement knows it by, where it was asked
)

settlements = Table(  # consumers whose allocations Placement has to make as the claims say
    "settlements",
    metadata,
    Column("consumer", String(36), primary_key=True),
    Column("container_uuid", String(36), nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("settled_at", Double),
    Index("ix_settlements_settled", "settled_at"),
)

placement_groups = Table(
    "placement_groups",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("revision", BigInteger, nullable=False),
    UniqueConstraint("project_id", "name", name="uq_placement_groups_name"),
    sqlite_autoincrement=True,  # a number that comes twice would join strangers
)

actions = Table(
    "actions",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("container_uuid", String(36), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("verb", String(16), nullable=False),
    Column("params", _Blob, nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("open", Boolean, nullable=False),
    Column("ok", Boolean),
    Column("message", Text),
    Column("start_time", Double, nullable=False),
    Column("finish_time", Double),
    Column("events", _Blob, nullable=False),
    Index("ix_actions_container", "container_uuid", "open"),
    sqlite_autoincrement=True,  # a host's journal is keyed by these numbers: none comes twice
)

projects = Table(
    "projects",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("horizon", BigInteger, nullable=False),
    Column("used_containers", BigInteger, nullable=False),
    Column("used_cpu_m", BigInteger, nullable=False),
    Column("used_memory_mib", BigInteger, nullable=False),
    Column("used_disk_gib", BigInteger, nullable=False),
    Column("limit_containers", BigInteger),
    Column("limit_cpu_m", BigInteger),
    Column("limit_memory_mib", BigInteger),
    Column("limit_disk_gib", BigInteger),
)

quota_classes = Table(
    "quota_classes",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("limit_containers", BigInteger),
    Column("limit_cpu_m", BigInteger),
    Column("limit_memory_mib", BigInteger),
    Column("limit_disk_gib", BigInteger),
)

changes = Table(
    "changes",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("container_uuid", String(36), nullable=False),
    Column("what", String(16), nullable=False),
    Column("kind", String(16)),  # of thing; null: container
    Column("at", Double, nullable=False),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("container_uuid", String(36), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Index("ix_tombstones_host", "host", "revision"),
)

networks = Table(
    "networks",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, unique=True),
    Column("used_at", Double, nullable=False),
    Column("document", _Blob, nullable=False),
)

ranges = Table(  # which network has a range: whoever is second with it takes another
    "ranges",
    metadata,
    Column("cidr", String(49), primary_key=True),
    Column("network_uuid", String(36), nullable=False, index=True),
)

ports = Table(
    "ports",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("network_uuid", String(36), nullable=False),
    Column("container_uuid", String(36), nullable=False, index=True),
    Column("document", _Blob, nullable=False),
)

addresses = Table(
    "addresses",
    metadata,
    Column("network_uuid", String(36), primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("port_uuid", String(36), nullable=False, index=True),
)

commits = Table(  # containers on their way to become images of Glance
    "commits",
    metadata,
    Column("image_id", String(36), primary_key=True),
    Column("container_uuid", String(36), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("host", String(255)),
    Column("generation", Integer),
    Column("created_at", Double, nullable=False),
)
