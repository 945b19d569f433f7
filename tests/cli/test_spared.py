"""What no idle process needs is not loaded, and there when somebody uses it after all."""

from __future__ import annotations

import subprocess
import sys

SOURCE = """
import sys
from dolium.cli import spared
spared.spare()
from cheroot import wsgi
from keystonemiddleware.auth_token import _cache
from oslo_utils import netutils
HEAVY = {"cryptography", "psutil._common", "more_itertools.more"}
assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
keys = _cache.memcache_crypt.derive_keys(b"token", b"secret", b"ENCRYPT")
sealed = _cache.memcache_crypt.protect_data(keys, b"data")
assert _cache.memcache_crypt.unprotect_data(keys, sealed) == b"data"
assert netutils.psutil.net_if_addrs()
import more_itertools
assert more_itertools.first([1]) == 1
assert HEAVY <= set(sys.modules), HEAVY - set(sys.modules)
"""


def test_what_is_spared_is_there_when_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SOURCE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
