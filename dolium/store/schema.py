"""The tables. Only what is searched or changed often is a column; the rest is one document.

Times are seconds since the epoch, amounts are integers (milli-CPU, MiB, GiB).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

HEAD = "0005"
"""The migration that makes this schema; a warm start compares it and loads nothing else."""

metadata = MetaData()

# BigInteger is no rowid alias in SQLite, so numbering columns say Integer there.
_Serial = BigInteger().with_variant(Integer, "sqlite")

deployment = Table(
    "deployment",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("created_at", Float, nullable=False),
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
    Column("inventory", LargeBinary, nullable=False),
    Column("total_cpu_m", BigInteger, nullable=False),
    Column("total_memory_mib", BigInteger, nullable=False),
    Column("total_disk_gib", BigInteger, nullable=False),
    Column("used_cpu_m", BigInteger, nullable=False),
    Column("used_memory_mib", BigInteger, nullable=False),
    Column("used_disk_gib", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("horizon", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float),
    # Whether it lives; "beat" counts its signs of life.
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("heard_at", Float),
    Column("lease_s", Integer, nullable=False, server_default="0"),
    Column("silent", Boolean, nullable=False, server_default=false()),
    Column("silent_at", Float),
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("forced_down", Boolean, nullable=False, server_default=false()),
    Column("forced_beat", BigInteger),
    Column("proof", String(255)),
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
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("exit_code", Integer),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float),
    Column("spec", LargeBinary, nullable=False),
    Column("shown", LargeBinary, nullable=False),
    Column("guarded", LargeBinary, nullable=False),
    Column("look", LargeBinary, nullable=False),
    Column("addresses", LargeBinary, nullable=False),
    Index("ix_containers_project", "project_id", "id"),
    Index("ix_containers_host", "host", "revision"),
    Index("ix_containers_stage", "stage"),
    sqlite_autoincrement=True,
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
)

actions = Table(
    "actions",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("container_uuid", String(36), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("verb", String(16), nullable=False),
    Column("params", LargeBinary, nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("open", Boolean, nullable=False),
    Column("ok", Boolean),
    Column("message", Text),
    Column("start_time", Float, nullable=False),
    Column("finish_time", Float),
    Column("events", LargeBinary, nullable=False),
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

changes = Table(
    "changes",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("container_uuid", String(36), nullable=False),
    Column("what", String(16), nullable=False),
    Column("at", Float, nullable=False),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("container_uuid", String(36), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Index("ix_tombstones_host", "host", "revision"),
)

networks = Table(
    "networks",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, unique=True),
    Column("used_at", Float, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

ports = Table(
    "ports",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("network_uuid", String(36), nullable=False),
    Column("container_uuid", String(36), nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),
)

addresses = Table(
    "addresses",
    metadata,
    Column("network_uuid", String(36), primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("port_uuid", String(36), nullable=False, index=True),
)
