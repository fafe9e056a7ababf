"""docs/protocol.md section 16 names every event of the contracts, with its fields in their order."""

from __future__ import annotations

import json
import re
from pathlib import Path

STANDARDS = {
    "RoleAdminChanged",
    "RoleGranted",
    "RoleRevoked",  # AccessControl
    "EIP712DomainChanged",  # ERC-5267
    "Approval",
    "Transfer",  # ERC-20
}


def test_every_event_is_written_down_as_it_is(root: Path) -> None:
    declared = set()
    for path in (root / "contracts" / "artifacts").glob("*.json"):
        artifact = json.loads(path.read_text())
        for item in artifact["abi"]:
            if item["type"] == "event" and item["name"] not in STANDARDS:
                fields = ", ".join("!" * field["indexed"] + field["name"] for field in item["inputs"])
                declared.add((artifact["contract"], f"{item['name']}({fields})"))
    section = (root / "docs" / "protocol.md").read_text().split("## 16 Events")[1]
    written = set()
    for contracts, events in re.findall(r"^\| ([A-Z][\w, ]+) \| (`.+?`) \|", section, re.MULTILINE):
        written |= {(name, event) for name in contracts.split(", ") for event in re.findall(r"`(.+?)`", events)}
    assert declared == written
