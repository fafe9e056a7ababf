"""Keys on disk: made once, checked always, and what a damaged or foreign one says."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path

import pytest

from zk.compile import Circuit, compile_circuit
from zk.files import locked, new_directory, write_whole
from zk.groth16 import Proof, VerifyingKey
from zk.keys import KeyFileError, KeyPaths, check_files, ensure_development_key, read_info, verifying_key
from zk.r1cs import R1csError, read_header
from zk.zkey import ZkeyError, check_zkey

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]


@pytest.fixture
def copied(key: KeyPaths, tmp_path: Path) -> KeyPaths:
    """A copy of the key that a test may damage."""
    target = tmp_path / key.circuit.directory.name
    shutil.copytree(key.circuit.directory, target)
    return KeyPaths(Circuit(24, 1, target), key.name)


def test_a_second_call_makes_nothing(key: KeyPaths) -> None:
    before = {path: path.stat().st_mtime_ns for path in key.circuit.directory.iterdir() if path.suffix != ".lock"}
    steps: list[str] = []
    assert ensure_development_key(24, 1, progress=steps.append) == key
    assert steps == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_information(key: KeyPaths) -> None:
    info = check_files(key)
    assert info.development
    assert (info.circuit, info.intervals, info.accounts) == ("statement_t24_n1", 24, 1)
    assert info.constraints == read_header(key.circuit.r1cs).constraints


def test_words_of_the_verifying_key(key: KeyPaths, verifying: VerifyingKey) -> None:
    raw = json.loads(key.verification_key.read_text())
    words = verifying.words()
    assert len(words) == 22
    assert [str(word) for word in words[:2]] == raw["vk_alpha_1"][:2]
    for start, name in ((2, "vk_beta_2"), (6, "vk_gamma_2"), (10, "vk_delta_2")):
        (x0, x1), (y0, y1), _ = raw[name]
        assert [str(word) for word in words[start : start + 4]] == [x1, x0, y1, y0]
    assert [str(word) for word in words[14:]] == [value for point in raw["IC"] for value in point[:2]]


def test_no_secret_is_kept(key: KeyPaths) -> None:
    names = {path.name for path in key.circuit.directory.iterdir()}
    files = {f"statement_t24_n1.{end}" for end in ("r1cs", "sym", "wasm")}
    files |= {f"development.{end}" for end in ("zkey", "vkey.json", "json", "lock")}
    # What the native prover remembers: the hash of a key whose points are good, and machine code.
    remembered = {name for name in names if name.endswith((".points", ".points.lock", ".cwasm")) or name == "witness.lock"}
    assert names - remembered == files
    if (key.points_checked).exists():
        assert key.points_checked.read_text() == read_info(key.info).zkey_sha256
    expected = {"circuit", "intervals", "accounts", "constraints", "development", "ceremony"}
    hashes = {"r1cs_sha256", "zkey_sha256", "verification_key_sha256"}
    assert set(json.loads(key.info.read_text())) == expected | hashes


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (3, "not a zkey file"),
        (20, "section 1 \\(protocol\\)"),
        (500, "section 2 \\(header\\)"),
        (100_000, "section 4 \\(coefficients\\)"),
        (-1, "section 10 \\(contributions\\): expected 68 bytes, the file ends after 67"),
        (-(68 + 12), "section 10 \\(contributions\\): the file ends before it"),
        (-(68 + 12 + 100), "section 9 \\(points H\\): expected 1048576 bytes, the file ends after 1048476"),
    ],
)
def test_a_truncated_key_names_the_section(copied: KeyPaths, keep: int, message: str) -> None:
    content = copied.zkey.read_bytes()
    copied.zkey.write_bytes(content[:keep])
    with pytest.raises(KeyFileError, match=message):
        check_files(copied)


def test_a_key_with_more_than_its_sections(copied: KeyPaths) -> None:
    copied.zkey.write_bytes(copied.zkey.read_bytes() + b"x")
    with pytest.raises(KeyFileError, match=r"expected 1\d+ bytes, got"):
        check_files(copied)


def test_a_foreign_key_names_the_section(key: KeyPaths) -> None:
    other = compile_circuit(96, 2)
    with pytest.raises(ZkeyError, match=r"section 2 \(header\): expected a key for"):
        check_zkey(key.zkey, read_header(other.r1cs))


def test_a_changed_byte_is_found(copied: KeyPaths) -> None:
    content = bytearray(copied.zkey.read_bytes())
    content[-300_000] ^= 1
    copied.zkey.write_bytes(content)
    with pytest.raises(KeyFileError, match="SHA-256"):
        check_files(copied)


def test_missing_and_unreadable_files(copied: KeyPaths) -> None:
    copied.verification_key.unlink()
    with pytest.raises(KeyFileError, match=r"vkey\.json: missing"):
        check_files(copied)
    copied.zkey.unlink()
    with pytest.raises(KeyFileError, match="zkey: missing"):
        check_files(copied)
    copied.circuit.r1cs.unlink()
    with pytest.raises(KeyFileError, match="r1cs: cannot be read"):
        check_files(copied)
    copied.info.write_text("{}")
    with pytest.raises(KeyFileError, match="not a key's information"):
        read_info(copied.info)
    with pytest.raises(R1csError, match="not a r1cs file"):
        read_header(copied.info)


def test_a_verification_key_off_its_groups(copied: KeyPaths) -> None:
    raw = json.loads(copied.verification_key.read_text())
    for change in (
        {"vk_alpha_1": ["1", "1", "1"]},
        {"vk_delta_2": [["1", "0"], ["1", "0"], ["1", "0"]]},
        {"vk_beta_2": [["0", "0"], ["0", "0"], ["1", "0"]]},
        {"IC": raw["IC"][:3]},
        {"curve": "bls12381"},
    ):
        copied.verification_key.write_text(json.dumps(raw | change))
        with pytest.raises(KeyFileError, match="not a verification key"):
            verifying_key(copied.verification_key)


def ensure(cache: Path, results: multiprocessing.Queue[str]) -> None:
    steps: list[str] = []
    paths = ensure_development_key(24, 1, cache, steps.append)
    results.put(json.dumps([len(steps) > 0, paths.info.read_text()]))


def test_an_unfinished_key_is_made_again_once_by_two_processes(copied: KeyPaths) -> None:
    # As after a kill between the proving key and its information.
    before = copied.zkey.read_bytes()
    copied.info.unlink()
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=ensure, args=(copied.circuit.directory.parent, results)) for _ in range(2)]
    for process in processes:
        process.start()
    answers = [json.loads(results.get(timeout=120)) for _ in processes]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert sorted(made for made, _ in answers) == [False, True]
    assert answers[0][1] == answers[1][1]
    # A fresh secret each time.
    assert copied.zkey.read_bytes() != before
    check_files(copied)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "made"
    # As a killed process leaves them.
    (tmp_path / ".made-abc").mkdir()
    (tmp_path / ".file-abc").write_text("half")

    def fail() -> None:
        with new_directory(target) as scratch:
            (scratch / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == [".file-abc"]
    with locked(tmp_path / "lock"):
        write_whole(tmp_path / "file", b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"whole", "lock": b""}


@pytest.mark.parametrize(("intervals", "accounts"), [(23, 1), (24, 0), (24, 65)])
def test_parameters_of_a_circuit(intervals: int, accounts: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        compile_circuit(intervals, accounts)


def test_proof_words() -> None:
    words = tuple(range(1, 9))
    proof = Proof.from_words(words)
    assert proof.words() == words
    assert (proof.b.x1, proof.b.x0, proof.b.y1, proof.b.y0) == (3, 4, 5, 6)
    assert Proof.from_snarkjs(proof.to_snarkjs()) == proof
    with pytest.raises(ValueError, match="eight words"):
        Proof.from_words(words[:7])
