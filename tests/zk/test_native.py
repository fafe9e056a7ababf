"""The native prover and verifier against snarkjs and py_ecc, and everything that they must refuse.

A small circuit's key is damaged in every way; the statement's own key shows that the real thing works.
"""

from __future__ import annotations

import copy
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from zk_cases import account, shared
from zk_ceremony import GAMMA, SECRET, small_circuit

from zk import core, verifier
from zk.binfile import section_table
from zk.compile import Circuit
from zk.development import make_key
from zk.field import ORDER
from zk.groth16 import BASE_ORDER, G1, G2, Proof, VerifyingKey
from zk.keys import KeyFileError, KeyPaths, proving_key
from zk.prover import NativeProver, Proved, ProverError, SnarkjsProver, open_prover
from zk.r1cs import read_header, read_r1cs
from zk.statement import Statement, make_statement
from zk.witness import WitnessError, WitnessGenerator
from zk.zkey import SECTIONS, ZkeyError, check_zkey

pytestmark = [pytest.mark.needs("node", "native"), pytest.mark.slow]


@pytest.fixture(scope="module")
def statement() -> Statement:
    return make_statement(shared(), [account()])


@pytest.fixture(scope="module")
def native(key: KeyPaths) -> NativeProver:
    return NativeProver(key)


@pytest.fixture(scope="module")
def proofs(native: NativeProver, statement: Statement) -> list[Proved]:
    return [native.prove(statement) for _ in range(2)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Circuit:
    return small_circuit(tmp_path_factory.mktemp("small") / "circuit")


@pytest.fixture(scope="module")
def small_key(small: Circuit) -> tuple[Path, VerifyingKey]:
    path = small.directory / "small.zkey"
    return path, core.make_key(small.r1cs, path)


@pytest.fixture(scope="module")
def small_witness(small: Circuit) -> bytes:
    return WitnessGenerator(small.wasm).calculate({"gamma": GAMMA, "secret": SECRET})


def signals(witness: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(witness[at : at + 32], "little") for at in (32, 64, 96))


# Proofs


def test_every_verifier_accepts_and_no_two_proofs_are_alike(
    key: KeyPaths, verifying: VerifyingKey, prover: SnarkjsProver, statement: Statement, proofs: list[Proved]
) -> None:
    first, second = proofs
    assert first.public == second.public == statement.public
    points = [{p.proof.a, p.proof.c} for p in proofs]
    assert not points[0] & points[1] and first.proof.b != second.proof.b
    for proved in proofs:
        assert core.verify(verifying, proved.public, proved.proof)
        assert verifier.verify(verifying, proved.public, proved.proof)
        assert prover.verify(verifying, proved.public, proved.proof)


def test_both_provers_have_one_witness_and_accept_each_other(
    key: KeyPaths, verifying: VerifyingKey, prover: SnarkjsProver, native: NativeProver, statement: Statement
) -> None:
    assert native.witness(key, statement.witness) == prover.witness(key, statement.witness)
    theirs = prover.prove(statement)
    assert core.verify(verifying, theirs.public, theirs.proof)
    assert not core.verify(verifying, (theirs.public[0], theirs.public[1], theirs.public[2] + 1), theirs.proof)


def altered(proof: Proof) -> Iterator[Proof]:
    """The proof with one thing wrong."""
    a, b, c = proof.a, proof.b, proof.c
    yield replace(proof, a=c)
    yield replace(proof, c=a)
    yield replace(proof, a=G1(a.x, BASE_ORDER - a.y))
    yield replace(proof, b=G2(b.x0, b.x1, BASE_ORDER - b.y0, BASE_ORDER - b.y1))
    yield replace(proof, a=G1(0, 0))
    yield replace(proof, b=G2(0, 0, 0, 0))
    yield replace(proof, a=G1(a.x, (a.y + 1) % BASE_ORDER))  # off the curve
    yield replace(proof, b=G2(b.x0, b.x1, b.y0, (b.y1 + 1) % BASE_ORDER))
    yield replace(proof, a=G1(a.x + BASE_ORDER, a.y))  # not reduced
    yield replace(proof, b=outside_the_subgroup())


def outside_the_subgroup() -> G2:
    """A point of the twist's curve that is not in G2: y^2 = x^3 + 3 / (9 + i), with the first x that has a root."""
    from py_ecc.optimized_bn128 import FQ2, b2, curve_order, is_inf, is_on_curve, multiply

    q = BASE_ORDER
    for x in range(1, 100):
        square = FQ2([x, 0]) ** 3 + b2
        # A root in the extension, q = 3 mod 4: from the norm's root in the base field.
        c0, c1 = (int(c) for c in square.coeffs)
        norm = pow(c0 * c0 + c1 * c1, (q + 1) // 4, q)
        for half in ((c0 + norm) * pow(2, -1, q) % q, (c0 - norm) * pow(2, -1, q) % q):
            real = pow(half, (q + 1) // 4, q)
            if real * real % q != half or not real:
                continue
            root = FQ2([real, c1 * pow(2 * real, -1, q) % q])
            point = (FQ2([x, 0]), root, FQ2.one())
            if root * root == square and is_on_curve(point, b2) and not is_inf(multiply(point, curve_order)):
                return G2(x, 0, *(int(c) for c in root.coeffs))
    raise AssertionError("no such point found")


def test_altered_proofs_and_signals_are_refused(verifying: VerifyingKey, proofs: list[Proved]) -> None:
    public, proof = proofs[0].public, proofs[0].proof
    for i in range(3):
        for value in ((public[i] + 1) % ORDER, public[i] + ORDER, -1, 1 << 256):
            assert not core.verify(verifying, (*public[:i], value, *public[i + 1 :]), proof)
    assert not core.verify(verifying, public[:2], proof)
    assert not core.verify(verifying, (*public, 0), proof)
    for wrong in altered(proof):
        assert not core.verify(verifying, public, wrong)
    assert core.verify(verifying, public, proof)


def test_many_proofs_in_one_product(verifying: VerifyingKey, proofs: list[Proved]) -> None:
    batch = [(proved.public, proved.proof) for proved in proofs]
    assert core.verify_many(verifying, [])
    assert core.verify_many(verifying, batch * 3)
    for wrong in altered(proofs[1].proof):
        assert not core.verify_many(verifying, [*batch, (proofs[1].public, wrong), *batch])
    # Errors that cancel each other in a plain product: the proofs' last points are exchanged.
    one, two = (proved.proof for proved in proofs)
    crossed = [(proofs[0].public, replace(one, c=two.c)), (proofs[1].public, replace(two, c=one.c))]
    assert not core.verify_many(verifying, crossed)


def test_a_key_off_its_groups(verifying: VerifyingKey, proofs: list[Proved]) -> None:
    for name, wrong in (
        ("alpha", replace(verifying, alpha=G1(1, 1))),
        ("beta", replace(verifying, beta=outside_the_subgroup())),
        ("delta", replace(verifying, delta=G2(0, 0, 0, 0))),
        (r"IC\[2\]", replace(verifying, ic=(*verifying.ic[:2], G1(2, 3), verifying.ic[3]))),
    ):
        with pytest.raises(core.CoreError, match=name):
            core.verify(wrong, proofs[0].public, proofs[0].proof)


def test_two_threads_prove_at_once(native: NativeProver, verifying: VerifyingKey, statement: Statement) -> None:
    with ThreadPoolExecutor(4) as threads:
        proved = list(threads.map(lambda _: native.prove(statement), range(8)))
    assert len({p.proof.words() for p in proved}) == 8
    assert core.verify_many(verifying, [(p.public, p.proof) for p in proved])


def test_a_prover_travels_as_paths(native: NativeProver, statement: Statement, verifying: VerifyingKey) -> None:
    native.warm()
    content = pickle.dumps(native)
    assert len(content) < 4_000
    with pickle.loads(content) as there:
        proved = there.prove(statement)
    assert core.verify(verifying, proved.public, proved.proof)


def test_after_a_fork_of_the_process_the_child_proves(native: NativeProver, statement: Statement) -> None:
    native.prove(statement)
    child = os.fork()
    if child == 0:
        try:
            # The child has none of its parent's threads.
            good = native.prove(statement).public == statement.public
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_open_prover(key: KeyPaths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), open_prover(key) as first:
        assert isinstance(first, NativeProver)
    monkeypatch.setattr(core, "_native", None)
    with open_prover(key, timeout=7) as second:
        assert isinstance(second, SnarkjsProver) and second._timeout == 7
    assert [record.message for record in caplog.records if record.name == "zk.prover"] == [
        "proofs by the native core",
        "no native core (set-up builds it where there is cargo): proofs by snarkjs, slower",
    ]


# Inputs and witnesses


def test_inputs_that_the_circuit_refuses(key: KeyPaths, native: NativeProver, statement: Statement) -> None:
    wrong = copy.deepcopy(statement.witness)
    wrong["readings"][0][2] = 8_765_432  # type: ignore[index]
    with pytest.raises(ProverError, match=r"Assert Failed.*MeterSignature_\d+ line") as caught:
        native.prove_inputs(key, wrong)
    assert "8765432" not in str(caught.value)
    missing = {name: value for name, value in statement.witness.items() if name != "salts"}
    short = statement.witness | {"salts": [[1, 2]]}
    for inputs, message in (
        (missing, r"Not all inputs have been set: \d+ values of \d+"),
        (short, r"salts: Not enough values .* expected 15, got 2"),
        (statement.witness | {"salts": [[1] * 16]}, "salts: Too many values"),
        (statement.witness | {"sugar": 1}, "sugar: not an input"),
    ):
        with pytest.raises(ProverError, match=message):
            native.prove_inputs(key, inputs)
    with pytest.raises(ProverError, match="twin"):
        native.prove(replace(statement, y=statement.y + 1))
    # Nothing of a refusal stays.
    assert native.prove(statement).public == statement.public


def test_machine_code_of_another_version_is_made_again(small: Circuit, small_witness: bytes) -> None:
    (kept,) = small.directory.glob("*.cwasm")
    kept.write_bytes(b"of another version")
    assert WitnessGenerator(small.wasm).calculate({"gamma": GAMMA, "secret": SECRET}) == small_witness
    assert kept.stat().st_size > 1000
    # Another circuit's code is not taken, and this one's goes.
    other = small_circuit(
        small.directory / "other", "template T() { signal input a; signal output b; b <== a * a; } component main = T();"
    )
    small_content = small.wasm.read_bytes()
    try:
        small.wasm.write_bytes(other.wasm.read_bytes())
        with pytest.raises(WitnessError, match="gamma: not an input"):
            WitnessGenerator(small.wasm).calculate({"gamma": GAMMA, "secret": SECRET})
        assert not kept.exists()
    finally:
        small.wasm.write_bytes(small_content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[:-1], r"witness: expected \d+ elements of 32 bytes, got \d+ bytes"),
        (lambda w: w + bytes(32), "witness: expected"),
        (lambda w: b"", "witness: expected"),
        (lambda w: bytes(32) + w[32:], "constant 1"),
        (lambda w: w[:128] + ORDER.to_bytes(32, "little") + w[160:], "number 4 is beyond"),
        (lambda w: w[:-32] + bytes(32), "does not verify"),
        (lambda w: w[:32] + (7).to_bytes(32, "little") + w[64:], "does not verify"),
    ],
)
def test_witnesses_that_cannot_be_proven(
    change: Callable[[bytes], bytes], message: str, small_key: tuple[Path, VerifyingKey], small_witness: bytes
) -> None:
    key = core.ProvingKey(small_key[0])
    with pytest.raises(core.CoreError, match=message):
        key.prove(change(small_witness))
    assert core.verify(small_key[1], signals(small_witness), key.prove(small_witness))


# Keys


def test_a_native_key_is_what_python_makes_but_for_the_secret(
    small: Circuit, small_key: tuple[Path, VerifyingKey], tmp_path: Path
) -> None:
    path, verifying = small_key
    made = tmp_path / "python.zkey"
    made.write_bytes(make_key(read_r1cs(small.r1cs))[0])
    ours, theirs = (section_table(file, b"zkey") for file in (path, made))
    assert ours == theirs
    a, b = path.read_bytes(), made.read_bytes()
    for number in SECTIONS:
        place = ours[number]
        alike = a[place.start : place.start + place.size] == b[place.start : place.start + place.size]
        # Sizes, coefficients and an empty record; all points differ.
        assert alike == (number in (1, 4, 10)), number
    check_zkey(path, read_header(small.r1cs))
    verifier.check_key(verifying)
    assert core.ProvingKey(path).verifying_key == verifying
    for file in (path, made):
        key = core.ProvingKey(file)
        witness = WitnessGenerator(small.wasm).calculate({"gamma": GAMMA, "secret": SECRET})
        assert core.verify(key.verifying_key, signals(witness), key.prove(witness))


def test_snarkjs_proves_with_a_native_key(small: Circuit, small_key: tuple[Path, VerifyingKey]) -> None:
    path, verifying = small_key
    with SnarkjsProver(KeyPaths(small, "small")) as snarkjs:
        proved = snarkjs.prove_inputs(KeyPaths(small, path.stem), {"gamma": GAMMA, "secret": SECRET})
        assert snarkjs.verify(verifying, proved.public, proved.proof)
    assert core.verify(verifying, proved.public, proved.proof)
    assert verifier.verify(verifying, proved.public, proved.proof)


def test_two_keys_share_no_secret(small: Circuit, small_key: tuple[Path, VerifyingKey], tmp_path: Path) -> None:
    other = core.make_key(small.r1cs, tmp_path / "other.zkey")
    assert len({small_key[1].alpha, other.alpha, small_key[1].ic[0], other.ic[0]}) == 4
    assert not {small_key[1].beta, small_key[1].delta} & {other.beta, other.delta}


def test_a_file_that_is_no_constraint_system(small: Circuit, tmp_path: Path) -> None:
    content = small.r1cs.read_bytes()
    for number, wrong in enumerate((b"", b"r1cs", content[:200], content[:-40], content.replace(b"r1cs", b"zkey"))):
        path = tmp_path / f"{number}.r1cs"
        path.write_bytes(wrong)
        with pytest.raises(core.CoreError, match=f"{path}"):
            core.make_key(path, tmp_path / "never.zkey")
        assert not (tmp_path / "never.zkey").exists()


@pytest.mark.parametrize("number", sorted(SECTIONS))
def test_a_key_cut_off_in_any_section(number: int, small_key: tuple[Path, VerifyingKey], tmp_path: Path) -> None:
    content = small_key[0].read_bytes()
    place = section_table(small_key[0], b"zkey")[number]
    cut = tmp_path / "cut.zkey"
    for end, message in (
        (place.start + place.size // 2, f"cut.zkey: section {number} .*expected {place.size} bytes, the file ends after"),
        (place.start - 5, f"cut.zkey: section {number} .*the file ends before it"),
    ):
        cut.write_bytes(content[:end])
        with pytest.raises(core.CoreError, match=message):
            core.ProvingKey(cut)


@pytest.mark.parametrize("number", [3, 5, 6, 7, 8, 9])
def test_a_section_with_a_point_too_few(
    number: int, small: Circuit, small_key: tuple[Path, VerifyingKey], tmp_path: Path
) -> None:
    content = small_key[0].read_bytes()
    place = section_table(small_key[0], b"zkey")[number]
    shorter = place.size - 64
    file = tmp_path / "short.zkey"
    table = struct.pack("<IQ", number, shorter)
    file.write_bytes(
        content[: place.start - 12] + table + content[place.start : place.start + shorter] + content[place.start + place.size :]
    )
    with pytest.raises(
        core.CoreError, match=rf"section {number} \({SECTIONS[number]}\): expected {place.size} bytes, got {shorter}"
    ):
        core.ProvingKey(file)
    with pytest.raises(ZkeyError, match=rf"section {number} "):
        check_zkey(file, read_header(small.r1cs))


@pytest.mark.parametrize("number", [2, 3, 5, 6, 7, 8, 9])
def test_a_point_that_is_none(number: int, small_key: tuple[Path, VerifyingKey], tmp_path: Path) -> None:
    content = bytearray(small_key[0].read_bytes())
    place = section_table(small_key[0], b"zkey")[number]
    # The lowest bit of the first coordinate of the first point that is not neutral.
    at = place.start + (84 if number == 2 else 0)
    while not any(content[at : at + 64]):
        at += 64
    content[at] ^= 1
    file = tmp_path / "wrong.zkey"
    file.write_bytes(content)
    with pytest.raises(core.CoreError, match=rf"wrong.zkey: section {number} \({SECTIONS[number]}\): expected points of G"):
        core.ProvingKey(file)
    # Without that check the file is taken by its hash alone, or not at all.
    digest = sha256(content).hexdigest()
    assert core.ProvingKey(file, digest, check_points=False).sha256 == digest
    with pytest.raises(core.CoreError, match=f"expected SHA-256 .*, got {digest}"):
        core.ProvingKey(file, sha256(small_key[0].read_bytes()).hexdigest(), check_points=False)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 2, "matrix 0 or 1"),
        (4, 1 << 31, "constraint below"),
        (8, 1 << 31, "wire below"),
        (40, 0xFFFFFFFF, "element of the field"),
    ],
)
def test_coefficients_that_point_nowhere(
    offset: int, value: int, message: str, small_key: tuple[Path, VerifyingKey], tmp_path: Path
) -> None:
    content = bytearray(small_key[0].read_bytes())
    start = section_table(small_key[0], b"zkey")[4].start + 4
    struct.pack_into("<I", content, start + offset, value)
    file = tmp_path / "wrong.zkey"
    file.write_bytes(content)
    with pytest.raises(core.CoreError, match=rf"section 4 \(coefficients\): coefficient 0: .*{message}"):
        core.ProvingKey(file)


def test_files_that_are_no_keys(small: Circuit, small_key: tuple[Path, VerifyingKey], tmp_path: Path) -> None:
    content = small_key[0].read_bytes()
    for number, wrong in enumerate((b"", b"zkey", b"zkey" + struct.pack("<II", 2, 10), content.replace(b"zkey", b"wtns", 1))):
        path = tmp_path / f"{number}.zkey"
        path.write_bytes(wrong)
        with pytest.raises(core.CoreError, match=f"{path}: not a zkey file"):
            core.ProvingKey(path)
    for wrong, message in (
        (content + b"x", "expected .* bytes, got"),
        (content[:12] + struct.pack("<IQ", 11, 4) + content[24:], "section 11: unknown"),
        (content[:8] + struct.pack("<I", 0xFFFFFFFF) + content[12:], "the file ends before it"),
    ):
        path = tmp_path / "wrong.zkey"
        path.write_bytes(wrong)
        with pytest.raises(core.CoreError, match=message):
            core.ProvingKey(path)
    with pytest.raises(core.CoreError, match=r"absent\.zkey"):
        core.ProvingKey(tmp_path / "absent.zkey")


def test_the_key_beside_a_circuit_is_checked_at_every_load(key: KeyPaths, small: Circuit, tmp_path: Path) -> None:
    def copied(name: str) -> KeyPaths:
        target = tmp_path / name
        target.mkdir()
        for path in (key.zkey, key.info, key.circuit.r1cs):
            (target / path.name).write_bytes(path.read_bytes())
        return KeyPaths(Circuit(24, 1, target), key.name)

    fresh = copied("fresh")
    assert proving_key(fresh).sha256 == fresh.points_checked.read_text()
    assert proving_key(fresh) is proving_key(fresh)

    damaged = copied("damaged")
    damaged.points_checked.write_text(fresh.points_checked.read_text())
    content = bytearray(damaged.zkey.read_bytes())
    content[-200_000] ^= 1
    damaged.zkey.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"development\.zkey: expected SHA-256"):
        proving_key(damaged)
    with pytest.raises(ProverError, match="expected SHA-256"):
        NativeProver(damaged).warm()

    # Recorded, but never checked: the points are looked at.
    recorded = copied("recorded")
    recorded.zkey.write_bytes(content)
    was, now = fresh.points_checked.read_text(), sha256(content).hexdigest()
    recorded.info.write_text(recorded.info.read_text().replace(was, now))
    with pytest.raises(KeyFileError, match=r"section \d \(points .\): expected points of G1"):
        proving_key(recorded)
    assert not recorded.points_checked.exists()

    foreign = copied("foreign")
    (foreign.circuit.r1cs).write_bytes(small.r1cs.read_bytes())
    with pytest.raises(KeyFileError, match=r"section 2 \(header\): expected a key for"):
        proving_key(foreign)
    foreign.zkey.unlink()
    with pytest.raises(KeyFileError, match=r"development\.zkey: cannot be read"):
        proving_key(foreign)
