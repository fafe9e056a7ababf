"""What every test may use, and the list of suites that did not run, which ends each run of pytest.

With `WATTPROOF_REQUIRE=all` a missing tool is a failure instead.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from machine import MISSING, ROOT

REQUIRE_ALL = os.environ.get("WATTPROOF_REQUIRE") == "all"
_absent: dict[str, list[str]] = defaultdict(list)
_deselected: dict[str, int] = defaultdict(int)


LONG = (
    "contracts/test_artifacts.py",
    "contracts/test_forge.py",
    "integration/test_day.py",
    "integration/test_serve.py",
    "zk/test_ceremony.py",
)
"""Files of a minute and more come first, so that no process is left with one of them when the others have ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.split("::")[0].endswith(LONG))
    available = {name: probe() for name, (probe, _) in MISSING.items()}
    for item in items:
        for mark in item.iter_markers("needs"):
            for name in mark.args:
                if available[name]:
                    continue
                _absent[name].append(item.nodeid)
                if not REQUIRE_ALL:
                    item.add_marker(pytest.mark.skip(reason=MISSING[name][1]))


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        _deselected[item.nodeid.split("::")[0]] += 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if REQUIRE_ALL:
        for mark in item.iter_markers("needs"):
            for name in mark.args:
                if item.nodeid in _absent[name]:
                    pytest.fail(f"WATTPROOF_REQUIRE=all, and {MISSING[name][1]}", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # one of several processes: the first one's summary is the run's
        session.config.workeroutput["left out"] = (dict(_absent), dict(_deselected))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every process collects every test, so that one's word is as good as another's."""
    if "left out" in (output := getattr(node, "workeroutput", {})):
        absent, deselected = output["left out"]
        _absent.update(absent)
        _deselected.update(deselected)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("suites that did not run")
    lines = [
        f"{', '.join(sorted({node.split('::')[0] for node in nodes}))}: {len(nodes)} tests, because there is {MISSING[name][1]}"
        for name, nodes in _absent.items()
        if nodes and not REQUIRE_ALL
    ]
    if _deselected:
        lines.append(f"{sum(_deselected.values())} tests in {len(_deselected)} files, because this run left them out (-m, -k)")
    broken = len(terminalreporter.stats.get("error", []))
    if broken:
        lines.append(f"{broken} files or fixtures, because they could not be loaded: see the errors above")
    lines += filter(None, os.environ.get("WATTPROOF_LEFT_OUT", "").split("; "))  # what `make test` could not run before
    for line in lines or ["none: every test that was collected was run"]:
        terminalreporter.write_line(line)


@pytest.fixture
def root() -> Path:
    return ROOT
