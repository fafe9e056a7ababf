"""What this machine has of what some tests need."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def chromium() -> str | None:
    """Path of the Chromium that browser tests drive."""
    return os.environ.get("WATTPROOF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def _anvil() -> bool:
    from contracts.chain import anvil_binary

    return anvil_binary() is not None


def fast_backend() -> str:
    """What tests open a chain with: anvil where there is one, because it runs heavy calls far faster.

    py-evm is named where it is the point: in the tests of both backends, of the whole day in one process, and where a test
    plays a public chain by changing its id."""
    return "anvil" if _anvil() else "tester"


def forge() -> Path | None:
    """The forge of contracts/node_modules, None where there is none for this platform."""
    modules = ROOT / "contracts" / "node_modules" / "@foundry-rs"
    return next((path for path in sorted(modules.glob("forge-*/bin/forge*")) if os.access(path, os.X_OK)), None)


def _key() -> bool:
    return (ROOT / ".cache" / "zk" / "stamp").exists()


def _native() -> bool:
    from zk import core

    return core.available()


MISSING = {
    "chromium": (lambda: chromium() is not None, "no Chromium (apt-get install chromium, or set WATTPROOF_CHROMIUM)"),
    "anvil": (_anvil, "no anvil for this platform in contracts/node_modules"),
    "forge": (lambda: forge() is not None, "no forge for this platform in contracts/node_modules"),
    "node": (lambda: shutil.which("node") is not None, "no Node.js"),
    "native": (_native, "no native prover (needs cargo; run: make setup)"),
    "key": (_key, "no development key (run: make setup)"),
    "pages": (lambda: (ROOT / "frontend" / "dist" / "index.html").exists(), "the pages are not built (run: make setup)"),
}
