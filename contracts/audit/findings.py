"""Holds slither's findings against the answers in docs/audit.md:
`python contracts/audit/findings.py findings.json docs/audit.md`.

A finding is known by its detector and its place (`Contract.function` or `Contract.function.variable`), not by line, so that
code may move. Fails on a finding without an answer and on an answer without its finding.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

Finding = tuple[str, str]
"""Detector and place."""

ROW = re.compile(r"^\| ([a-z-]+) \| ((?:`[\w.]+`(?:, )?)+) \| (.+) \|$", re.MULTILINE)


def place(element: dict[str, Any]) -> str:
    """`Contract.function.variable`, as far as the element goes down."""
    names = [element["name"]]
    while parent := element.get("type_specific_fields", {}).get("parent"):
        if parent["type"] not in ("contract", "function"):
            break
        names.append(parent["name"])
        element = parent
    return ".".join(reversed(names))


def found(report: dict[str, Any]) -> set[Finding]:
    """Findings of slither's JSON report; `ValueError` where slither did not succeed."""
    if not report["success"]:
        raise ValueError(f"slither: expected a report of findings, got {report['error']}")
    return {(finding["check"], place(finding["elements"][0])) for finding in report["results"].get("detectors", [])}


def answered(text: str) -> set[Finding]:
    """What the table of answers names; `ValueError` on a row that answers what another row answers."""
    pairs = [(detector, where) for detector, places, _ in ROW.findall(text) for where in re.findall(r"`([\w.]+)`", places)]
    if twice := sorted({pair for pair in pairs if pairs.count(pair) > 1}):
        raise ValueError(f"answered twice: {twice}")
    return set(pairs)


def differences(findings: set[Finding], answers: set[Finding]) -> list[str]:
    """A sentence per finding without an answer and per answer without its finding."""
    return [
        *(f"no answer: {detector} in {where}" for detector, where in sorted(findings - answers)),
        *(f"nothing left to answer: {detector} in {where}" for detector, where in sorted(answers - findings)),
    ]


def main(report: Path, document: Path) -> int:
    findings = found(json.loads(report.read_text()))
    wrong = differences(findings, answered(document.read_text()))
    print("\n".join(wrong) if wrong else f"slither: {len(findings)} findings, all answered in {document}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
