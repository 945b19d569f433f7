"""Runs tests of zun-tempest-plugin side by side; prints how each ended, a JSON object a line.

    side_by_side.py REGEX

For the interpreter of .venv-tempest, with tempest's configuration named in the environment. Tests
mostly wait for containers that do not end before they are killed. To let many wait at once,
`tempest run` starts as many interpreters and makes new users and projects for each, which costs a
small machine more than the tests do. Here a class is set up once, and forks run its tests.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import unittest
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

PACKAGE = "zun_tempest_plugin.tests.tempest.api"
MODULES = ("test_capsules", "test_containers", "test_services")
WORKERS = 20

TESTS: list[unittest.TestCase] = []
"""Of classes that are set up: what forks find by its index."""


def _chosen(pattern: str) -> Iterator[tuple[type[unittest.TestCase], list[unittest.TestCase]]]:
    """Classes with those of their tests whose name is matched."""
    for module in MODULES:
        for suite in unittest.defaultTestLoader.loadTestsFromName(f"{PACKAGE}.{module}"):
            assert isinstance(suite, unittest.TestSuite)
            tests = [test for test in suite if isinstance(test, unittest.TestCase)]
            if wanted := [test for test in tests if re.search(pattern, _name(test))]:
                yield type(wanted[0]), wanted


def _name(test: unittest.TestCase) -> str:
    """Without the ids and tags that tempest appends."""
    return test.id().partition("[")[0]


def _outcome(index: int) -> str:
    """Run one test."""
    result = unittest.TestResult()
    TESTS[index].run(result)
    if result.skipped:
        return f"SKIPPED: {result.skipped[0][1]}"
    failed = result.errors + result.failures
    return f"FAILED: {failed[0][1]}" if failed else "ok"


def _tell(test: unittest.TestCase, outcome: str) -> None:
    sys.stdout.write(json.dumps({"name": _name(test), "outcome": outcome}) + "\n")


def main(pattern: str) -> None:
    """Set up classes, run their tests, clear up."""
    ready = []
    try:
        for kind, tests in _chosen(pattern):
            try:
                kind.setUpClass()
            except unittest.SkipTest as skipped:
                for test in tests:
                    _tell(test, f"SKIPPED: {skipped}")
                continue
            ready.append(kind)
            TESTS.extend(tests)
        forks = ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork"))
        with forks:
            for test, outcome in zip(TESTS, forks.map(_outcome, range(len(TESTS))), strict=True):
                _tell(test, outcome)
    finally:
        for kind in ready:
            kind.tearDownClass()


if __name__ == "__main__":
    main(sys.argv[1])
