"""The rooms import each other in one direction only, as the README draws it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

MAY_IMPORT = {
    "contracts": set(),
    "zk": set(),
    "market": {"contracts"},
    "oracle": {"contracts", "zk"},
    "settlement": {"contracts", "zk", "market", "oracle"},
    "app": {"contracts", "zk", "market", "oracle", "settlement", "bench"},
    "bench": {"contracts", "zk", "market", "oracle", "settlement", "app"},
}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_stands_below_it(root: Path, room: str) -> None:
    files = [path for path in (root / room).rglob("*.py") if "node_modules" not in path.parts]
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                if top in MAY_IMPORT and top != room:
                    assert top in MAY_IMPORT[room], f"{path.relative_to(root)} imports {name}"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_each_file_says_in_its_first_lines_what_it_is_for(root: Path, room: str) -> None:
    for path in (root / room).rglob("*.py"):
        if "node_modules" in path.parts or "migrations" in path.parts:
            continue
        assert ast.get_docstring(ast.parse(path.read_text())), path.relative_to(root)


def test_the_readme_draws_the_house_as_it_is(root: Path) -> None:
    arrows = re.findall(
        r"^  (?:end\n  )?(\w+)(?:\[.*\])? --> (\w+)(?:\[.*\])?$", (root / "README.md").read_text(), re.MULTILINE
    )
    drawn: dict[str, set[str]] = {}
    for above, below in arrows:
        drawn.setdefault(above, set()).add(below)
    assert set(drawn) == {"app", "settlement", "market", "oracle"}

    def under(room: str) -> set[str]:
        return drawn.get(room, set()).union(*(under(below) for below in drawn.get(room, set())))

    for room in ("contracts", "zk", "market", "oracle", "settlement"):
        assert under(room) == MAY_IMPORT[room], room
    assert under("app") == MAY_IMPORT["app"] - {"bench"}
