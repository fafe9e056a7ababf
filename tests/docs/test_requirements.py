"""docs/requirements.md names every id, and nothing that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from app.api import create_api

FAMILIES = {
    "CBFM": 17,
    "DMSFDR": 11,
    "CGDFS": 13,
    "EFT": 12,
    "LEDGER": 6,
    "INTEROP": 5,
    "HEALTH": 4,
    "REACH": 9,
    "IGRID": 3,
    "SECURITY": 7,
}
ROW = re.compile(r"^\| ([A-Z]+-\d+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def test_every_requirement_is_listed_and_names_what_exists(root: Path) -> None:
    rows = ROW.findall((root / "docs" / "requirements.md").read_text())
    ids = [row[0] for row in rows]
    assert ids == [f"{family}-{n}" for family, count in FAMILIES.items() for n in range(1, count + 1)]

    api = create_api()
    endpoints = {f"{method.upper()} {path}" for path, item in api.openapi()["paths"].items() for method in item}
    routes = set(re.findall(r'"(#/[a-z]*)', "".join(p.read_text() for p in (root / "frontend" / "src").rglob("*.ts*"))))
    for id_, _, page, endpoint, test in rows:
        cells = [cell.strip("`") for cell in (page, endpoint, test)]
        if "not yet" in cells:
            assert cells == ["not yet"] * 3, f"{id_} is half met: {cells}"
            continue
        assert any(route.startswith(cells[0]) for route in routes), f"{id_} names the page {cells[0]}"
        assert cells[1] in endpoints, f"{id_} names the endpoint {cells[1]}"
        assert (root / cells[2]).exists(), f"{id_} names the test {cells[2]}"
