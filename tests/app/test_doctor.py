"""The doctor on machines that lack something: a PATH with stand-ins, for it asks no more than what programs answer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from machine import ROOT

GOOD = {
    "python3": 'case "$1" in -c) exit 0;; *) echo "Python 3.12.1";; esac',
    "node": 'case "$1" in -e) exit 0;; *) echo v22.1.0;; esac',
    "npm": "",
    "make": "",
    "chromium": "",
    "cargo": "echo 'cargo 1.89.0 (c24e10642 2025-06-23)'",
    "cc": "",
}


def doctor(folder: Path, *arguments: str, without: str = "", **other: str) -> subprocess.CompletedProcess[str]:
    for name in ("sh", "awk", "cut"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, body in {**GOOD, **other}.items():
        if name != without:
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)
    return subprocess.run(
        [folder / "sh", ROOT / "app" / "doctor.sh", *arguments], env={"PATH": str(folder)}, capture_output=True, text=True
    )


def test_a_machine_that_has_everything(tmp_path: Path) -> None:
    said = doctor(tmp_path)
    assert said.returncode == 0 and said.stderr == ""
    assert said.stdout.split(maxsplit=1)[1].strip() == "Python 3.12.1, Node.js v22.1.0, Chromium, cargo 1.89.0"


@pytest.mark.parametrize(
    ("lacks", "named"),
    [
        ("python3", "apt-get install python3 python3-venv"),
        ("node", "apt-get install nodejs npm"),
        ("npm", "apt-get install npm"),
        ("make", "apt-get install make"),
    ],
)
def test_what_is_needed_ends_with_the_command_that_gets_it(tmp_path: Path, lacks: str, named: str) -> None:
    said = doctor(tmp_path, without=lacks)
    assert said.returncode == 1
    assert "missing " in said.stdout and named in said.stdout and "Nothing was changed" in said.stdout


def test_what_is_too_old_is_missing(tmp_path: Path) -> None:
    said = doctor(tmp_path, node='case "$1" in -e) exit 1;; *) echo v18.0.0;; esac', python3="exit 1")
    assert said.returncode == 1
    assert "found v18.0.0" in said.stdout and "Python 3.11 to 3.13" in said.stdout


@pytest.mark.parametrize(
    ("cargo", "without", "named"),
    [
        ("", "cargo", "cargo 1.89 or newer"),
        ("echo 'cargo 1.75.0'", "", "cargo 1.89 or newer"),
        ("echo 'error: no default toolchain' >&2; exit 1", "", "cargo 1.89 or newer"),
        (GOOD["cargo"], "cc", "a C linker"),
        (GOOD["cargo"], "chromium", "Chromium"),
    ],
)
def test_what_is_optional_stops_nothing(tmp_path: Path, cargo: str, without: str, named: str) -> None:
    said = doctor(tmp_path, without=without, cargo=cargo)
    assert said.returncode == 0
    assert f"optional  {named}" in said.stdout


@pytest.mark.parametrize(
    ("cargo", "without", "builds"),
    [
        (GOOD["cargo"], "", True),
        ("echo 'cargo 2.0.0'", "", True),
        ("", "cargo", False),
        ("echo 'cargo 1.88.9'", "", False),
        ("exit 1", "", False),
        (GOOD["cargo"], "cc", False),
    ],
)
def test_the_native_prover_is_built_where_it_can_be(tmp_path: Path, cargo: str, without: str, builds: bool) -> None:
    assert (doctor(tmp_path, "--cargo", without=without, cargo=cargo).returncode == 0) == builds
