"""A real ceremony on a small circuit, from powers of tau to a key that proves and verifies, and all that must be refused.

The statement's circuit takes the same path; only its powers of tau are too long to make in a test.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner
from zk_ceremony import GAMMA, SECRET, SOURCE, powers_of_tau, small_circuit, snarkjs

from app.commands.zk import app as commands
from contracts.artifacts import load
from contracts.chain import Chain, open_chain
from contracts.deploy import DeployedVerifier, DeploymentError, VerifyingKey, ZoneSpec, deploy
from zk import ceremony
from zk.binfile import section_table
from zk.ceremony import CeremonyError
from zk.compile import Circuit
from zk.development import make_key
from zk.field import ORDER
from zk.groth16 import BASE_ORDER, G1, G2, Proof
from zk.keys import KeyFileError, KeyPaths, check_files, ensure_key, present_keys, read_info, verifying_key
from zk.prover import Proved, SnarkjsProver
from zk.r1cs import read_r1cs
from zk.transcript import Transcript, read_transcript
from zk.verifier import verify

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]

BEACON = "00" * 31 + "2a"
DEPLOYER = b"\x11" * 32
OTHERS = ("0x" + "11" * 20, "0x" + "22" * 20)


@dataclass(frozen=True)
class Scene:
    """A finished ceremony: `steps` are its files, the last one closed by a beacon."""

    circuit: Circuit
    ptau: Path
    steps: tuple[Path, ...]
    published: tuple[str, ...]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("ceremony")
    circuit = small_circuit(folder / "cache" / "small")
    ptau = powers_of_tau(folder, 6)
    steps = tuple(folder / f"{number:04}.zkey" for number in range(4))
    ceremony.start(circuit, ptau, steps[0])
    anna = ceremony.contribute(circuit, steps[0], steps[1], "Anna")
    bojan = ceremony.contribute(circuit, steps[1], steps[2], "Bojan, Ž", entropy="typed by Bojan")
    last = ceremony.beacon(circuit, steps[2], steps[3], BEACON, 10)
    return Scene(circuit, ptau, steps, (anna.hash, bojan.hash, last.hash))


@pytest.fixture
def empty(scene: Scene, tmp_path: Path) -> Circuit:
    """The circuit without any key."""
    directory = tmp_path / "cache" / "small"
    shutil.copytree(scene.circuit.directory, directory)
    for path in directory.glob("production*"):
        path.unlink()
    return Circuit(24, 1, directory)


@pytest.fixture(scope="module")
def imported(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> KeyPaths:
    directory = tmp_path_factory.mktemp("imported") / "small"
    shutil.copytree(scene.circuit.directory, directory)
    circuit = Circuit(24, 1, directory)
    ceremony.import_key(circuit, scene.steps[-1], scene.ptau, "production")
    return KeyPaths(circuit, "production")


@pytest.fixture(scope="module")
def proved(imported: KeyPaths) -> Proved:
    with SnarkjsProver(imported, timeout=60) as prover:
        return prover.prove_inputs(imported, {"gamma": GAMMA, "secret": SECRET})


def files(circuit: Circuit) -> set[str]:
    return {path.name for path in circuit.directory.iterdir() if path.suffix != ".lock"}


def changed(source: Path, target: Path, section: int, at: int, change: Callable[[bytes], bytes] | None = None) -> Path:
    """A copy of a zkey with a byte of a section flipped, or the section's content from `at` on replaced."""
    content = bytearray(source.read_bytes())
    found = section_table(source, b"zkey")[section]
    if change is None:
        content[found.start + at] ^= 1
    else:
        rest = change(bytes(content[found.start + at : found.start + found.size]))
        content[found.start + at : found.start + found.size] = rest
        struct.pack_into("<Q", content, found.start - 8, at + len(rest))
    target.write_bytes(content)
    return target


def test_each_step_is_valid_and_says_who_took_part(scene: Scene) -> None:
    for number, path in enumerate(scene.steps):
        found = ceremony.verify(scene.circuit, scene.ptau, path)
        assert [item.hash for item in found.contributions] == list(scene.published[:number])
        assert (found.secrets, found.closed) == (min(number, 2), number == 3)
    assert [item.name for item in found.contributions] == ["Anna", "Bojan, Ž", "beacon"]
    assert (found.contributions[2].beacon, found.contributions[2].iterations_exp) == (BEACON, 10)


def test_every_contribution_is_another(scene: Scene, tmp_path: Path) -> None:
    again = ceremony.contribute(scene.circuit, scene.steps[0], tmp_path / "again.zkey", "Anna", entropy="")
    assert again.hash != scene.published[0], "the operating system's random numbers are in it"


def test_files_of_other_tools_fit(scene: Scene, tmp_path: Path) -> None:
    made = tmp_path / "by_snarkjs.zkey"
    snarkjs("zkey", "contribute", scene.steps[1], made, "--name=Cene", "-e=text")
    found = ceremony.verify(scene.circuit, scene.ptau, made, after=scene.steps[1])
    assert [item.name for item in found.contributions] == ["Anna", "Cene"]
    snarkjs("zkey", "verify", scene.circuit.r1cs, scene.ptau, scene.steps[3])


def test_the_imported_key_proves(scene: Scene, imported: KeyPaths, proved: Proved) -> None:
    info = check_files(imported)
    assert info == read_info(imported.info)
    assert not info.development
    assert info.ceremony is not None
    assert [item.hash for item in info.ceremony.contributions] == list(scene.published)
    assert info.ceremony.circuit_hash == read_transcript(scene.steps[0]).circuit_hash
    assert imported.zkey.read_bytes() == scene.steps[-1].read_bytes()
    assert files(imported.circuit) - files(scene.circuit) == {"production.zkey", "production.vkey.json", "production.json"}

    key = imported.verifying_key()
    assert proved.public[2] == GAMMA
    assert verify(key, proved.public, proved.proof)
    assert not verify(key, (proved.public[0], proved.public[1] + 1, GAMMA), proved.proof)
    with SnarkjsProver(imported, timeout=60) as prover:
        assert prover.verify(key, proved.public, proved.proof)


def test_the_key_is_found_by_name(imported: KeyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zk.keys.compile_circuit", lambda *_: imported.circuit)
    assert ensure_key("production", 24, 1) == imported
    with pytest.raises(KeyFileError, match=r"no key 'other' for statement_t24_n1.*wattproof zk import"):
        ensure_key("other", 24, 1)
    found = present_keys(imported.circuit.directory.parent)
    assert [(paths.name, paths.info) for paths in found] == [("production", imported.info)]


def test_a_key_that_nobody_contributed_to_can_be_forged(scene: Scene, empty: Circuit, tmp_path: Path) -> None:
    """Why import refuses it: delta is 1, so C cancels whatever the public signals say."""
    exported = tmp_path / "vkey.json"
    snarkjs("zkey", "export", "verificationkey", scene.steps[0], exported)
    key = verifying_key(exported)
    wrong = (1, 2, 3)
    assert verify(key, wrong, forged(key.alpha, key.beta, key.ic, wrong, delta=1))
    with pytest.raises(CeremonyError, match="at least one contribution"):
        ceremony.import_key(empty, scene.steps[0], scene.ptau, "production")
    assert files(empty) == files(scene.circuit)


def forged(alpha: G1, beta: G2, ic: tuple[G1, ...], public: tuple[int, ...], delta: int) -> Proof:
    from py_ecc.optimized_bn128 import FQ, add, multiply, neg, normalize

    total = (FQ(ic[0].x), FQ(ic[0].y), FQ.one())
    for value, point in zip(public, ic[1:], strict=True):
        total = add(total, multiply((FQ(point.x), FQ(point.y), FQ.one()), value))
    x, y = normalize(multiply(neg(total), pow(delta, -1, ORDER)))
    return Proof(alpha, beta, G1(int(x), int(y)))


def test_a_beacon_alone_is_not_a_contribution(scene: Scene, empty: Circuit, tmp_path: Path) -> None:
    with pytest.raises(CeremonyError, match="expected a contribution before the beacon"):
        ceremony.beacon(scene.circuit, scene.steps[0], tmp_path / "beacon.zkey", BEACON, 10)
    made = tmp_path / "by_snarkjs.zkey"
    snarkjs("zkey", "beacon", scene.steps[0], made, BEACON, "10", "-n=beacon")
    with pytest.raises(CeremonyError, match="at least one contribution that is not a beacon"):
        ceremony.import_key(empty, made, scene.ptau, "production")
    assert files(empty) == files(scene.circuit)


def test_nothing_comes_after_the_beacon(scene: Scene, tmp_path: Path) -> None:
    target = tmp_path / "late.zkey"
    with pytest.raises(CeremonyError, match="a beacon has closed this ceremony"):
        ceremony.contribute(scene.circuit, scene.steps[3], target, "late")
    with pytest.raises(CeremonyError, match="a beacon has closed this ceremony already"):
        ceremony.beacon(scene.circuit, scene.steps[3], target, BEACON, 10)
    snarkjs("zkey", "contribute", scene.steps[3], target, "--name=late", "-e=text")
    with pytest.raises(CeremonyError, match=r"contribution 4 \('late'\): it comes after the beacon"):
        ceremony.verify(scene.circuit, scene.ptau, target)


def test_a_contribution_out_of_order_is_named(scene: Scene, tmp_path: Path) -> None:
    """One that goes on from an older key, one that was dropped, two that were swapped."""
    aside = tmp_path / "aside.zkey"
    ceremony.contribute(scene.circuit, scene.steps[0], aside, "Cene")
    with pytest.raises(CeremonyError, match=r"contribution 1: expected \w+, named 'Anna', got \w+, named 'Cene'"):
        ceremony.verify(scene.circuit, scene.ptau, aside, after=scene.steps[1])
    with pytest.raises(CeremonyError, match=r"contribution 2 is missing: expected \w+, named 'Bojan"):
        ceremony.verify(scene.circuit, scene.ptau, scene.steps[1], after=scene.steps[2])

    def without_first(record: bytes) -> bytes:
        return struct.pack("<I", 1) + contributions(record)[1]

    def swapped(record: bytes) -> bytes:
        first, second = contributions(record)
        return struct.pack("<I", 2) + second + first

    for change in (without_first, swapped):
        with pytest.raises(CeremonyError, match=r"contribution 1 \('Bojan, Ž'\): does not follow the circuit"):
            ceremony.verify(scene.circuit, scene.ptau, changed(scene.steps[2], tmp_path / "moved.zkey", 10, 64, change))


def contributions(record: bytes) -> list[bytes]:
    """The parts of section 10 behind the circuit's hash."""
    (count,) = struct.unpack_from("<I", record)
    parts, at = [], 4
    for _ in range(count):
        fixed = 3 * 64 + 128 + 64 + 4
        (length,) = struct.unpack_from("<I", record, at + fixed)
        parts.append(record[at : at + fixed + 4 + length])
        at += fixed + 4 + length
    return parts


@pytest.mark.parametrize(
    ("section", "at"),
    [
        (2, 84),
        (2, 84 + 3 * 128),
        (2, 84 + 3 * 128 + 64),
        (3, 0),
        (4, 40),
        (5, 64),
        (7, 128),
        (8, 0),
        (9, 640),
        (10, 0),
        (10, 70),
    ],
)
def test_a_changed_byte_makes_the_key_invalid(scene: Scene, empty: Circuit, tmp_path: Path, section: int, at: int) -> None:
    damaged = changed(scene.steps[-1], tmp_path / "damaged.zkey", section, at)
    with pytest.raises(CeremonyError, match=r"not valid for|contribution 1|section"):
        ceremony.verify(scene.circuit, scene.ptau, damaged)
    with pytest.raises(CeremonyError):
        ceremony.import_key(empty, damaged, scene.ptau, "production")
    assert files(empty) == files(scene.circuit), "nothing half done"


def test_a_cut_off_file_names_the_section(scene: Scene, empty: Circuit, tmp_path: Path) -> None:
    cut = tmp_path / "cut.zkey"
    whole = scene.steps[-1].read_bytes()
    for keep in (3, 11, 500, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:keep])
        with pytest.raises(CeremonyError, match=r"not a zkey file|the file ends"):
            ceremony.import_key(empty, cut, scene.ptau, "production")
        with pytest.raises(CeremonyError, match=r"not a zkey file|the file ends"):
            ceremony.contribute(scene.circuit, cut, tmp_path / "next.zkey", "late")
    with pytest.raises(CeremonyError, match=r"no such file|cannot be read"):
        ceremony.import_key(empty, tmp_path / "absent.zkey", scene.ptau, "production")
    assert files(empty) == files(scene.circuit)
    assert not (tmp_path / "next.zkey").exists()


def test_another_circuits_key_is_refused(scene: Scene, tmp_path: Path) -> None:
    """Also where all sizes are the same: one constant differs."""
    other = small_circuit(tmp_path / "other", SOURCE.replace("secret + i)", "secret + i + 1)"))
    assert read_r1cs(other.r1cs).header == read_r1cs(scene.circuit.r1cs).header
    before = files(other)
    with pytest.raises(CeremonyError, match="not valid for"):
        ceremony.import_key(other, scene.steps[-1], scene.ptau, "production")
    assert files(other) == before
    larger = small_circuit(tmp_path / "larger", SOURCE.replace("20", "30"))
    with pytest.raises(CeremonyError, match=r"section 2 \(header\): expected a key for"):
        ceremony.import_key(larger, scene.steps[-1], scene.ptau, "production")


def test_a_development_key_is_refused_and_stays_one(scene: Scene, empty: Circuit, tmp_path: Path) -> None:
    """Even with a contribution on top: it does not come from the powers of tau."""
    made = tmp_path / "development.zkey"
    made.write_bytes(make_key(read_r1cs(scene.circuit.r1cs))[0])
    with pytest.raises(CeremonyError, match="not valid for"):
        ceremony.import_key(empty, made, scene.ptau, "production")
    dressed = tmp_path / "dressed.zkey"
    ceremony.contribute(scene.circuit, made, dressed, "Mallory")
    with pytest.raises(CeremonyError, match="not valid for"):
        ceremony.import_key(empty, dressed, scene.ptau, "production")
    with pytest.raises(CeremonyError, match="name: expected"):
        ceremony.import_key(empty, scene.steps[-1], scene.ptau, "development")
    for name in ("", "../escape", "Production", "a/b"):
        with pytest.raises(CeremonyError, match="name: expected"):
            ceremony.import_key(empty, scene.steps[-1], scene.ptau, name)
    assert files(empty) == files(scene.circuit)


def test_powers_of_tau_that_do_not_carry_the_circuit(scene: Scene, tmp_path: Path) -> None:
    target = tmp_path / "first.zkey"

    def refused(ptau: Path, why: str) -> None:
        with pytest.raises(CeremonyError, match=why):
            ceremony.start(scene.circuit, ptau, target)
        with pytest.raises(CeremonyError, match=why):
            ceremony.verify(scene.circuit, ptau, scene.steps[-1])
        assert not target.exists()

    refused(powers_of_tau(tmp_path, 3), r"expected power 5 or more for \d+ constraints, got power 3")
    refused(powers_of_tau(tmp_path, 6, prepared=False), "not prepared for phase 2")
    refused(powers_of_tau(tmp_path, 4, curve="bls12-381", prepared=False), "another curve")
    cut = tmp_path / "cut.ptau"
    whole = scene.ptau.read_bytes()
    for keep in (5, 40, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:keep])
        refused(cut, "not a ptau file|the file ends|is missing")
    refused(tmp_path / "absent.ptau", "cannot be read")
    refused(scene.steps[0], "not a ptau file")
    others = powers_of_tau(tmp_path, 7)
    with pytest.raises(CeremonyError, match="not valid for"):
        ceremony.verify(scene.circuit, others, scene.steps[-1])


def test_no_step_is_lost_and_no_name_used_twice(scene: Scene, imported: KeyPaths) -> None:
    with pytest.raises(CeremonyError, match="is there already"):
        ceremony.contribute(scene.circuit, scene.steps[0], scene.steps[1], "Cene")
    before = imported.zkey.read_bytes()
    with pytest.raises(CeremonyError, match="is there already"):
        ceremony.import_key(imported.circuit, scene.steps[2], scene.ptau, "production")
    assert imported.zkey.read_bytes() == before
    check_files(imported)


def test_an_import_that_was_killed_half_way_is_made_again(scene: Scene, empty: Circuit) -> None:
    (empty.directory / "production.zkey").write_bytes(b"left by a killed process")
    info = ceremony.import_key(empty, scene.steps[2], scene.ptau, "production")
    assert info == check_files(KeyPaths(empty, "production"))
    assert info.ceremony is not None and len(info.ceremony.contributions) == 2


@pytest.mark.parametrize("value", ["", "0x" + BEACON, "abc", "zz"])
def test_a_beacon_is_hexadecimal(scene: Scene, tmp_path: Path, value: str) -> None:
    with pytest.raises(CeremonyError, match="hash: expected"):
        ceremony.beacon(scene.circuit, scene.steps[2], tmp_path / "x.zkey", value, 10)
    with pytest.raises(CeremonyError, match="iterations: expected 10 to 63"):
        ceremony.beacon(scene.circuit, scene.steps[2], tmp_path / "x.zkey", BEACON, 9)


def test_the_commands(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same way as a person types it."""
    directory = tmp_path / "cache" / "small"
    shutil.copytree(scene.circuit.directory, directory)
    monkeypatch.setattr("app.commands.zk.compile_circuit", lambda *_, **__: Circuit(24, 1, directory))
    monkeypatch.setattr("zk.keys.default_cache", lambda: directory.parent)
    runner = CliRunner()

    def run(*arguments: str | Path, typed: str = "") -> str:
        result = runner.invoke(commands, [*map(str, arguments)], input=typed)
        assert result.exit_code == 0, result.output
        return result.stdout

    first, second, last = (tmp_path / f"{name}.zkey" for name in ("first", "second", "last"))
    run("ceremony", "start", first, "--ptau", scene.ptau)
    told = run("ceremony", "contribute", first, second, "--name", "Anna", "--type", typed="correct horse\n")
    assert "named 'Anna'" in told and "correct horse" not in told
    closed = json.loads(run("ceremony", "beacon", second, last, "--hash", BEACON, "--json"))
    assert closed["beacon"] == BEACON
    told = run("ceremony", "verify", last, "--ptau", scene.ptau, "--after", second)
    assert told.endswith("valid\n") and f"contribution 2, {closed['hash']}, beacon {BEACON}" in told
    assert "anyone could forge" in run("ceremony", "verify", first, "--ptau", scene.ptau)
    run("import", last, "--ptau", scene.ptau)
    (listed,) = json.loads(run("info", "--json"))
    assert (listed["name"], listed["development"]) == ("production", False)
    assert listed["ceremony"]["contributions"][1]["hash"] == closed["hash"]
    assert listed["current"] is False, "the small circuit is none of the project's"
    assert "ceremony's key" in run("info") and "sources have changed" in run("info")
    refused = runner.invoke(commands, ["import", str(last), "--ptau", str(scene.ptau)])
    assert isinstance(refused.exception, CeremonyError)


@pytest.fixture(scope="module")
def public() -> Iterator[tuple[Chain, str]]:
    """A chain that says it is Ethereum's, with a token of six decimals."""
    from eth_account import Account

    with open_chain("tester", 1_700_000_000) as chain, pytest.MonkeyPatch.context() as patch:
        chain.fund(Account.from_key(DEPLOYER).address)
        token = chain.transact(None, load("DevEuro").creation(), DEPLOYER).contract
        assert token
        patch.setattr(type(chain._chain), "chain_id", 1)  # type: ignore[attr-defined]
        chain.chain_id = 1
        yield chain, token


def test_a_development_key_stays_off_public_chains(public: tuple[Chain, str], imported: KeyPaths) -> None:
    """Said in words, before any gas is spent."""
    from eth_account import Account

    chain, token = public
    own = Account.from_key(DEPLOYER).address
    words = imported.verifying_key().words()
    marked = chain.transact(None, load("Groth16Verifier").creation(words, True), DEPLOYER).contract
    assert marked
    before = (chain.nonce(own), chain.balance(own), chain.block().number)
    for circuit in (VerifyingKey(1, words, True), DeployedVerifier(1, marked)):
        with pytest.raises(
            DeploymentError, match=r"chain 1 takes no development keys.*Import a ceremony's key.*Nothing was sent"
        ):
            deploy(
                chain,
                DEPLOYER,
                [circuit],
                ZoneSpec(3600, 60),
                operator=own,
                metering=OTHERS[0],
                guardian=OTHERS[1],
                token=token,
            )
    assert (chain.nonce(own), chain.balance(own), chain.block().number) == before


def test_the_ceremonys_key_deploys_on_a_public_chain(public: tuple[Chain, str], imported: KeyPaths, proved: Proved) -> None:
    from eth_account import Account

    chain, token = public
    own = Account.from_key(DEPLOYER).address
    info, words = read_info(imported.info), imported.verifying_key().words()
    circuit = VerifyingKey(info.accounts, words, info.development)
    deployment = deploy(
        chain, DEPLOYER, [circuit], ZoneSpec(3600, 60), operator=own, metering=OTHERS[0], guardian=OTHERS[1], token=token
    )
    verifier = deployment.contracts["Verifier1"]
    functions = load("Groth16Verifier").functions
    assert functions["development"].result(chain.call(verifier, functions["development"].call())) is False

    def holds(public_signals: tuple[int, ...], proof: Proof) -> bool:
        call = functions["verify"].call([[*public_signals, *proof.words()]])
        return bool(functions["verify"].result(chain.call(verifier, call)))

    assert holds(proved.public, proved.proof)
    assert not holds((*proved.public[:2], GAMMA + 1), proved.proof)
    c = proved.proof.c
    assert not holds(proved.public, Proof(proved.proof.a, proved.proof.b, G1(c.x, BASE_ORDER - c.y)))


@pytest.mark.parametrize("name", ["{0}", "Anna: {0:.40}\ncontribution 2, Bojan", "a\x1b[2K"])
def test_a_name_cannot_pose_as_a_contribution(scene: Scene, tmp_path: Path, name: str) -> None:
    """Names are under no hash, so that a coordinator who drops a contributor could write its published hash into one."""
    posing = name.format(scene.published[0]).encode()
    start = 64 + 4 + 3 * 64 + 128 + 64  # circuit's hash, count, points and given hash of the first contribution

    def renamed(rest: bytes) -> bytes:
        kind, length = struct.unpack_from("<II", rest)
        parameters = bytes([1, len(posing)]) + posing
        return struct.pack("<II", kind, len(parameters)) + parameters + rest[8 + length :]

    posed = changed(scene.steps[1], tmp_path / "posed.zkey", 10, start, renamed)
    with pytest.raises(CeremonyError, match="name: expected at most 64 bytes of printable text"):
        ceremony.verify(scene.circuit, scene.ptau, posed)


def test_a_published_hash_is_asked_for(scene: Scene) -> None:
    for published in scene.published[:2]:
        ceremony.verify(scene.circuit, scene.ptau, scene.steps[-1], contains=[published])
    with pytest.raises(CeremonyError, match="expected a contribution with the hash"):
        ceremony.verify(scene.circuit, scene.ptau, scene.steps[1], contains=scene.published[:2])


def test_a_record_is_plain_to_compare(scene: Scene) -> None:
    earlier, later = (read_transcript(path) for path in scene.steps[1:3])
    later.require_follows(earlier)
    with pytest.raises(ValueError, match="different circuits"):
        Transcript("00", ()).require_follows(earlier)
