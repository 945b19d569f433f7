"""Who may do what: oslo.policy decides, a memo keeps its 130 us off each request."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dolium import errors
from dolium.api.rules import rules
from dolium.model.clock import Clock, SystemClock
from dolium.model.context import Context

if TYPE_CHECKING:
    from oslo_policy import policy as oslo

LOG = logging.getLogger(__name__)

MOST_REMEMBERED = 10_000
LOOK_S = 3.0
"""How often the file is looked at."""

_NOBODY = "(none)"
"""The project of what has none: no token is of it."""


class Policy:
    """Decisions, remembered until the file changes."""

    def __init__(self, file: str = "", clock: Clock | None = None) -> None:
        """`file` overrides defaults; it is read again a few seconds after it changed."""
        self._file = Path(file).absolute() if file else None
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._enforcer: oslo.Enforcer | None = None
        self._admins: dict[tuple[str, ...], bool] = {}
        self._memo: dict[tuple[object, ...], bool] = {}
        self._hidden: dict[tuple[object, ...], frozenset[str]] = {}
        self._next_look = 0.0
        self._stamp: tuple[int, int] | None = None
        if self._file and not self._file.is_file():
            raise errors.StartError(why=f"There is no policy file {self._file}")

    def warm(self) -> None:
        """Load everything now instead of at the first request."""
        self._rules()

    def admin(self, roles: tuple[str, ...]) -> bool:
        """Whether the roles make an administrator."""
        self._look()
        known = self._admins.get(roles)
        if known is None:
            if len(self._admins) >= MOST_REMEMBERED:
                self._admins = {}
            nobody = Context(user_id="", project_id="", request_id="", roles=roles)
            known = self._admins[roles] = self._decide("context_is_admin", nobody, "", "")
        return known

    def check(self, rule: str, context: Context, project_id: str, user_id: str = "") -> None:
        """Raise Forbidden unless the caller may do this to what the project (and user) owns."""
        if not self.allows(rule, context, project_id, user_id):
            raise errors.Forbidden(rule=rule)

    def allows(self, rule: str, context: Context, project_id: str = "", user_id: str = "") -> bool:
        """Whether the caller may do this to what the project (and user) owns."""
        self._look()
        key = (rule, context.roles, context.project_id, context.user_id, project_id, user_id)
        known = self._memo.get(key)
        if known is None:
            known = self._decide(rule, context, project_id, user_id)
            if len(self._memo) >= MOST_REMEMBERED:
                self._memo = {}
            self._memo[key] = known
        return known

    def hidden(self, kind: str, context: Context) -> frozenset[str]:
        """Fields of a kind of answer that the caller does not see.

        kind `container:get_one` asks every rule named `container:get_one:<field>`, those an
        operator added too.
        """
        self._look()
        key = (kind, context.roles, context.project_id, context.user_id)
        known = self._hidden.get(key)
        if known is None:
            prefix = f"{kind}:"
            fields = [
                name.removeprefix(prefix) for name in self._rules().rules if name.startswith(prefix)
            ]
            mine = context.project_id, context.user_id
            known = frozenset(f for f in fields if not self.allows(prefix + f, context, *mine))
            if len(self._hidden) >= MOST_REMEMBERED:
                self._hidden = {}
            self._hidden[key] = known
        return known

    def known(self, rule: str) -> bool:
        """Whether the rule has a default or an operator made it."""
        return rule in self._rules().rules

    def given(self) -> dict[str, str]:
        """Rules of the file with what they say; raises whatever its parser raises."""
        return {name: str(rule.check_str) for name, rule in self._load().file_rules.items()}

    def _decide(self, rule: str, context: Context, project_id: str, user_id: str) -> bool:
        who = {
            "user_id": context.user_id,
            "project_id": context.project_id,
            "roles": list(context.roles),
            "is_admin": rule != "context_is_admin" and self.admin(context.roles),
        }
        owner = {"project_id": project_id or _NOBODY, "user_id": user_id or _NOBODY}
        return bool(self._rules().enforce(rule, owner, who))

    def _rules(self) -> oslo.Enforcer:
        with self._lock:
            if self._enforcer is None:
                self._stamp = self._stamped()
                self._enforcer = self._load()
            return self._enforcer

    def _load(self) -> oslo.Enforcer:
        from oslo_config import cfg
        from oslo_policy import policy as oslo

        # An object of its own: nothing of ours is in oslo.config's global one.
        source = cfg.ConfigOpts()
        source(args=[], project="dolium", default_config_files=[], default_config_dirs=[])
        enforcer = oslo.Enforcer(
            source,
            policy_file=str(self._file) if self._file else None,
            use_conf=True,
        )
        enforcer.register_defaults(rules())
        enforcer.load_rules(force_reload=True)
        return enforcer

    def _look(self) -> None:
        if self._file is None or self._clock.monotonic() < self._next_look:
            return
        with self._lock:
            self._next_look = self._clock.monotonic() + LOOK_S
            stamp = self._stamped()
            if self._enforcer is None or stamp == self._stamp:
                return
            self._stamp = stamp
            if stamp is None:
                LOG.error("policy file %s is gone, the old rules stay", self._file)
                return
            try:
                self._enforcer = self._load()
            except Exception as error:
                LOG.error("policy file %s can't be read, the old rules stay: %s", self._file, error)
                return
            self._admins, self._memo, self._hidden = {}, {}, {}

    def _stamped(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
