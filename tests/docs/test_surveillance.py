"""docs/surveillance.md: every figure is the measured one, every detector and threshold exists."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

from market.surveillance.detect import DETECTORS
from market.surveillance.evidence import Detector
from market.surveillance.parameters import load


def test_every_figure_is_the_measured_one(root: Path) -> None:
    measured = {row["metric"]: row for row in json.loads((root / "bench/results/surveillance.json").read_text())["rows"]}
    text = (root / "docs/surveillance.md").read_text()
    rows = re.findall(r"^\| .+? \| ([\d.]+)( %)? \| `(\w+)` \|$", text, re.MULTILINE)
    assert {"detection", "false_alarms_100", "detected_withholding", "named_rightly"} <= {metric for _, _, metric in rows}
    for told, percent, metric in rows:
        value = measured[metric]["value"] * (100 if percent else 1)
        assert told == (f"{value:.1f}" if percent or metric.startswith("delay") else f"{value:.2f}"), metric
    for metric in ("detection", "false_alarms_100"):
        assert measured[metric]["target"] == {"detection": 0.95, "false_alarms_100": 2.0}[metric]
    clean = int(re.search(r"of (\d+),", measured["false_alarms_100"]["note"])[1])  # type: ignore[index]
    assert f"with {clean} clean ones" in text
    moved = measured["detected_price_spike"]["peers"]["moved 20 %"]
    assert f"by 20 % or more {round(100 * moved)} % are named" in text


def test_every_detector_and_threshold_is_told(root: Path) -> None:
    text = (root / "docs/surveillance.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| .+? \| (.+?) \| .+? \|$", text, re.MULTILINE)
    assert [name for name, _ in told] == [detector.value for detector in Detector] == [name.value for name in DETECTORS]
    known = load()
    for _, cell in told:
        section = known
        for words in re.findall(r"`([\w.*]+)`", cell):
            name, _, field = words.rpartition(".")
            section = getattr(known, name) if name else section
            names = [f.name for f in fields(section)]
            assert any(n.startswith(field.removesuffix("*")) for n in names), words
