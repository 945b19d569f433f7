"""The rules of the container API: Zun's names and defaults, with the reader role besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from oslo_policy import policy as oslo

ADMIN = "rule:admin_api"
WRITE = "rule:admin_or_owner"
READ = "rule:admin_or_reader"
NEVER = "rule:deny_everybody"


class Rule(NamedTuple):
    """One rule as operators see it."""

    name: str
    default: str
    about: str
    where: str = ""
    """`GET /v1/containers`; empty for rules that others are made of."""


BASES = (
    Rule("context_is_admin", "role:admin", "Who is an administrator"),
    Rule("admin_api", "rule:context_is_admin", "What only administrators may"),
    Rule(
        "admin_or_owner",
        "is_admin:True or (project_id:%(project_id)s and (role:member or not role:reader))",
        "What changes something: anybody in the project whose token is more than a reader's",
    ),
    Rule(
        "admin_or_reader",
        "is_admin:True or project_id:%(project_id)s",
        "What only looks: anybody in the project, also with nothing but the reader role",
    ),
    Rule("deny_everybody", "!", "What nobody may"),
)

_ONE = "/v1/containers/{container}"

CONTAINERS = (
    Rule("container:create", WRITE, "Create a container", "POST /v1/containers"),
    Rule("container:create:runtime", ADMIN, "Choose its runtime", "POST /v1/containers"),
    Rule("container:create:requested_destination", ADMIN, "Choose its host", "POST /v1/containers"),
    Rule("container:create:image_pull_policy", ADMIN, "Choose when to pull", "POST /v1/containers"),
    Rule("container:create:privileged", NEVER, "Make it privileged", "POST /v1/containers"),
    Rule("container:delete", WRITE, "Delete a container", f"DELETE {_ONE}"),
    Rule("container:delete_all_projects", ADMIN, "Delete anybody's", f"DELETE {_ONE}"),
    Rule("container:delete_force", ADMIN, "Delete in nearly any state", f"DELETE {_ONE}"),
    Rule("container:get_one", READ, "Show a container", f"GET {_ONE}"),
    Rule("container:get_one:host", ADMIN, "See its host", f"GET {_ONE}"),
    Rule("container:get_one:image_pull_policy", ADMIN, "See when it pulls", f"GET {_ONE}"),
    Rule("container:get_one:privileged", ADMIN, "See whether it is privileged", f"GET {_ONE}"),
    Rule("container:get_one:runtime", ADMIN, "See its runtime", f"GET {_ONE}"),
    Rule("container:get_one_all_projects", ADMIN, "Show anybody's", f"GET {_ONE}"),
    Rule("container:get_all", READ, "List containers", "GET /v1/containers"),
    Rule("container:get_all_all_projects", ADMIN, "List everybody's", "GET /v1/containers"),
    Rule("container:update", WRITE, "Change name, cpu, memory or auto_heal", f"PATCH {_ONE}"),
    Rule("container:start", WRITE, "Start a container", f"POST {_ONE}/start"),
    Rule("container:stop", WRITE, "Stop a container", f"POST {_ONE}/stop"),
    Rule("container:reboot", WRITE, "Restart a container", f"POST {_ONE}/reboot"),
    Rule("container:rebuild", WRITE, "Make it anew from an image", f"POST {_ONE}/rebuild"),
    Rule("container:pause", WRITE, "Freeze a container", f"POST {_ONE}/pause"),
    Rule("container:unpause", WRITE, "Thaw a container", f"POST {_ONE}/unpause"),
    Rule("container:kill", WRITE, "Send it a signal", f"POST {_ONE}/kill"),
    Rule("container:rename", WRITE, "Rename it, until 1.13", f"POST {_ONE}/rename"),
    Rule("container:logs", READ, "Read its output", f"GET {_ONE}/logs"),
    Rule("container:execute", WRITE, "Run a command inside", f"POST {_ONE}/execute"),
    Rule("container:execute_resize", WRITE, "Resize that terminal", f"POST {_ONE}/execute_resize"),
    Rule("container:attach", WRITE, "Attach to its terminal", f"GET {_ONE}/attach"),
    Rule("container:resize", WRITE, "Resize its terminal", f"POST {_ONE}/resize"),
    Rule("container:top", READ, "List its processes", f"GET {_ONE}/top"),
    Rule("container:stats", READ, "See what it uses", f"GET {_ONE}/stats"),
    Rule("container:get_archive", WRITE, "Copy files out", f"GET {_ONE}/get_archive"),
    Rule("container:put_archive", WRITE, "Copy files in", f"POST {_ONE}/put_archive"),
    Rule("container:commit", WRITE, "Make an image of it", f"POST {_ONE}/commit"),
    Rule("container:add_security_group", WRITE, "Add a group", f"POST {_ONE}/add_security_group"),
    Rule(
        "container:remove_security_group",
        WRITE,
        "Take a group away",
        f"POST {_ONE}/remove_security_group",
    ),
    Rule("container:network_attach", WRITE, "Plug it in", f"POST {_ONE}/network_attach"),
    Rule("container:network_detach", WRITE, "Unplug it", f"POST {_ONE}/network_detach"),
    Rule("container:network_list", READ, "List its networks", f"GET {_ONE}/network_list"),
    Rule("container:resize_container", WRITE, "Resize it", f"POST {_ONE}/resize_container"),
    Rule("container:actions", READ, "See what was asked of it", f"GET {_ONE}/container_actions"),
    Rule(
        "container:action:events",
        ADMIN,
        "See tracebacks of events",
        f"GET {_ONE}/container_actions/{{request_id}}",
    ),
)

OTHERS = (
    Rule("capsule:create", WRITE, "Create a capsule", "POST /v1/capsules"),
    Rule("capsule:delete", WRITE, "Delete a capsule", "DELETE /v1/capsules/{capsule}"),
    Rule("capsule:delete_all_projects", ADMIN, "Anybody's", "DELETE /v1/capsules/{capsule}"),
    Rule("capsule:get", READ, "Show a capsule", "GET /v1/capsules/{capsule}"),
    Rule("capsule:get:host", ADMIN, "See its host", "GET /v1/capsules/{capsule}"),
    Rule("capsule:get_one_all_projects", ADMIN, "Anybody's", "GET /v1/capsules/{capsule}"),
    Rule("capsule:get_all", READ, "List capsules", "GET /v1/capsules"),
    Rule("capsule:get_all_all_projects", ADMIN, "List everybody's", "GET /v1/capsules"),
    Rule("image:pull", ADMIN, "Pull an image to a host", "POST /v1/images"),
    Rule("image:get_all", ADMIN, "List images of hosts", "GET /v1/images"),
    Rule("image:get_one", ADMIN, "Show one", "GET /v1/images/{image}"),
    Rule("image:delete", ADMIN, "Delete one", "DELETE /v1/images/{image}"),
    Rule("image:search", READ, "Search images", "GET /v1/images/{image}/search"),
    Rule("host:get_all", ADMIN, "List hosts", "GET /v1/hosts"),
    Rule("host:get", ADMIN, "Show a host", "GET /v1/hosts/{host}"),
    Rule("zun-service:get_all", ADMIN, "List services", "GET /v1/services"),
    Rule("zun-service:delete", ADMIN, "Forget one", "DELETE /v1/services"),
    Rule("zun-service:enable", ADMIN, "Let a host take containers", "PUT /v1/services/enable"),
    Rule("zun-service:disable", ADMIN, "Spare a host", "PUT /v1/services/disable"),
    Rule("zun-service:force_down", ADMIN, "Declare it down", "PUT /v1/services/force_down"),
    Rule("network:create", "role:admin", "Register a network", "POST /v1/networks"),
    Rule("network:delete", "role:admin", "Forget it", "DELETE /v1/networks/{network}"),
    Rule(
        "network:attach_external_network", "role:admin", "Use external ones", "POST /v1/containers"
    ),
    Rule("quota:get", READ, "See a project's limits", "GET /v1/quotas/{project}"),
    Rule("quota:get_default", READ, "See the defaults", "GET /v1/quotas/{project}/defaults"),
    Rule("quota:update", ADMIN, "Change limits", "PUT /v1/quotas/{project}"),
    Rule("quota:delete", ADMIN, "Back to the defaults", "DELETE /v1/quotas/{project}"),
    Rule("quota_class:get", ADMIN, "See a class of limits", "GET /v1/quota_classes/{quota_class}"),
    Rule("quota_class:update", ADMIN, "Change it", "PUT /v1/quota_classes/{quota_class}"),
    Rule("registry:create", WRITE, "Create a registry", "POST /v1/registries"),
    Rule("registry:delete", WRITE, "Delete one", "DELETE /v1/registries/{registry}"),
    Rule("registry:get_one", READ, "Show one", "GET /v1/registries/{registry}"),
    Rule("registry:get_all", READ, "List them", "GET /v1/registries"),
    Rule("registry:get_all_all_projects", ADMIN, "List everybody's", "GET /v1/registries"),
    Rule("registry:update", WRITE, "Change one", "PATCH /v1/registries/{registry}"),
    Rule("event:watch", READ, "Watch changes of the project's containers", "GET /v1/events"),
    Rule("availability_zones:get_all", READ, "List zones", "GET /v1/availability_zones"),
)

RULES = BASES + CONTAINERS + OTHERS
"""All rules with their defaults."""


def rules() -> list[oslo.RuleDefault]:
    """The same for oslo.policy and its tools."""
    from oslo_policy import policy as oslo  # 230 ms: only where it is needed

    made: list[oslo.RuleDefault] = []
    for rule in RULES:
        if not rule.where:
            made.append(oslo.RuleDefault(rule.name, rule.default, rule.about))
            continue
        method, _, path = rule.where.partition(" ")
        where: list[oslo.Operation] = [{"method": method, "path": path}]
        made.append(oslo.DocumentedRuleDefault(rule.name, rule.default, rule.about, where))
    return made


def sample() -> str:
    """A policy file with every default, commented out."""
    page = [
        "# Rules of the container API with their defaults. Remove a leading # to change one.",
        "",
    ]
    for rule in RULES:
        page += [f"# {rule.about}", f"# {rule.where}"] if rule.where else [f"# {rule.about}"]
        page += [f'#"{rule.name}": "{rule.default}"', ""]
    return "\n".join(page)
