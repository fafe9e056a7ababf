"""What every test may use, and the list of suites that did not run, which ends each run of pytest.

With `WATTPROOF_REQUIRE=all` a missing tool is a failure instead.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest
from machine import MISSING, ROOT

REQUIRE_ALL = os.environ.get("WATTPROOF_REQUIRE") == "all"
_absent: dict[str, list[str]] = defaultdict(list)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    available = {name: probe() for name, (probe, _) in MISSING.items()}
    for item in items:
        for mark in item.iter_markers("needs"):
            for name in mark.args:
                if available[name]:
                    continue
                _absent[name].append(item.nodeid)
                if not REQUIRE_ALL:
                    item.add_marker(pytest.mark.skip(reason=MISSING[name][1]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if REQUIRE_ALL:
        for mark in item.iter_markers("needs"):
            for name in mark.args:
                if item.nodeid in _absent[name]:
                    pytest.fail(f"WATTPROOF_REQUIRE=all, and {MISSING[name][1]}", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("suites that did not run")
    if not any(_absent.values()) or REQUIRE_ALL:
        terminalreporter.write_line(
            "none: everything collected was run" if not REQUIRE_ALL else "none allowed (WATTPROOF_REQUIRE=all)"
        )
        return
    for name, nodes in _absent.items():
        files = sorted({node.split("::")[0] for node in nodes})
        terminalreporter.write_line(f"{', '.join(files)}: {len(nodes)} tests, because there is {MISSING[name][1]}")


@pytest.fixture
def root() -> Path:
    return ROOT
