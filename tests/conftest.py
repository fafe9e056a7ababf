"""What every test may use, and the list of suites that did not run, which ends each run of pytest.

With `WATTPROOF_REQUIRE=all` a missing tool is a failure instead.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIRE_ALL = os.environ.get("WATTPROOF_REQUIRE") == "all"


def chromium() -> str | None:
    """Path of the Chromium that browser tests drive."""
    return os.environ.get("WATTPROOF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def _anvil() -> bool:
    from contracts.chain import anvil_binary

    return anvil_binary() is not None


def _key() -> bool:
    return (ROOT / ".cache" / "zk" / "stamp").exists()


MISSING = {
    "chromium": (lambda: chromium() is not None, "no Chromium (apt-get install chromium, or set WATTPROOF_CHROMIUM)"),
    "anvil": (_anvil, "no anvil for this platform in contracts/node_modules"),
    "node": (lambda: shutil.which("node") is not None, "no Node.js"),
    "key": (_key, "no development key (run: make setup)"),
    "pages": (lambda: (ROOT / "frontend" / "dist" / "index.html").exists(), "the pages are not built (run: make setup)"),
}
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
        terminalreporter.write_line("none: everything collected was run" if not REQUIRE_ALL else "none allowed (WATTPROOF_REQUIRE=all)")
        return
    for name, nodes in _absent.items():
        files = sorted({node.split("::")[0] for node in nodes})
        terminalreporter.write_line(f"{', '.join(files)}: {len(nodes)} tests, because there is {MISSING[name][1]}")


@pytest.fixture
def root() -> Iterator[Path]:
    yield ROOT
