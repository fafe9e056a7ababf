"""A market that was deployed by the command line, verified, and served from its manifest with keys apart by role."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from eth_account import Account as Signer
from eth_hash.auto import keccak
from typer.testing import CliRunner

from app.cli import app as commands
from app.commands.contracts import _agree
from app.context import build
from app.errors import Refused
from app.services import accounts
from app.settings import Settings
from contracts.chain import Chain, open_chain
from contracts.deploy import Begun, Sent, deploy
from contracts.manifest import Deployment, DeploymentError, Holders, VerifyingKey, ZoneSpec
from zk.eddsa import PrivateKey

pytestmark = [pytest.mark.needs("key", "anvil"), pytest.mark.slow]

ROLES = ("deployer", "operator", "metering", "guardian", "admin")


def key_of(name: str) -> bytes:
    return bytes(keccak(f"deployed {name}".encode()))


def address_of(name: str) -> str:
    return str(Signer.from_key(key_of(name)).address)


@pytest.fixture(scope="module")
def node() -> Iterator[Chain]:
    with open_chain("anvil") as chain:
        for role in ROLES:
            chain.fund(address_of(role))
        yield chain


@pytest.fixture(scope="module")
def manifest(node: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market that the command line has deployed."""
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "deployer.key").write_text(key_of("deployer").hex())
    (folder / "deployer.key").chmod(0o600)
    done = run(*deploying(node, folder), "--key-file", str(folder / "deployer.key"), "--json")
    assert done["warnings"] and done["gas_used"] > 10_000_000
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "deployer.key",
        "deployment.json",
    ]
    return folder / "deployment.json"


def deploying(node: Chain, folder: Path) -> list[str]:
    people = [part for role in ("admin", "operator", "guardian", "metering") for part in (f"--{role}", address_of(role))]
    where = ["--chain", node.url, "--manifest", str(folder / "deployment.json")]  # type: ignore[attr-defined]
    return ["contracts", "deploy", *where, *people, "--sizes", "1", "--offset", "-28800", "--holiday", "2090-01-02"]


def run(*arguments: str) -> Any:
    done = CliRunner().invoke(commands, list(arguments))
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def settings(node: Chain, manifest: Path, folder: Path, *roles: str, **changes: Any) -> Settings:
    keys = {f"{role}_key": key_of(role).hex() for role in roles}
    fields = {"data_dir": folder / "var", "chain": node.url, "deployment": manifest, "proof_sizes": (1,)}  # type: ignore[attr-defined]
    return Settings(**{**fields, "database_url": None, "operator_token": None, **keys, **changes})


def test_it_is_verified_and_shown(node: Chain, manifest: Path, tmp_path: Path) -> None:
    verifying = ["contracts", "verify", "--chain", node.url]  # type: ignore[attr-defined]
    told = run(*verifying, "--manifest", str(manifest), "--json")
    assert told["valid"] and not told["differences"] and len(told["warnings"]) == 1
    shown = CliRunner().invoke(commands, ["contracts", "show", "--manifest", str(manifest)])
    assert address_of("guardian") in shown.stdout and "DEVELOPMENT key" in shown.stdout and "play money" in shown.stdout
    assert Deployment.from_json(manifest.read_text()).holders.admin == address_of("admin")

    forged = json.loads(manifest.read_text())
    forged["holders"]["operator"] = address_of("mallory")
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    done = CliRunner().invoke(commands, [*verifying, "--manifest", str(tmp_path / "forged.json"), "--json"])
    assert done.exit_code == 1
    found = [(d["contract"], d["what"]) for d in json.loads(done.stdout)["differences"]]
    assert sorted(set(found)) == [("FlexMarket", "role"), ("Zones", "role")] and len(found) == 4, "who should and who does"


def test_a_manifest_is_not_deployed_over_and_the_key_is_kept(node: Chain, manifest: Path, tmp_path: Path) -> None:
    again = CliRunner().invoke(
        commands, deploying(node, manifest.parent), env={"WATTPROOF_DEPLOYER_KEY": key_of("deployer").hex()}
    )
    assert isinstance(again.exception, Refused) and again.exception.errors[0].field == "manifest"
    open_to_all = tmp_path / "open.key"
    open_to_all.write_text(key_of("deployer").hex())
    open_to_all.chmod(0o644)
    done = CliRunner().invoke(commands, [*deploying(node, tmp_path), "--key-file", str(open_to_all)])
    assert isinstance(done.exception, Refused) and "Others can read" in str(done.exception)
    poor = CliRunner().invoke(commands, deploying(node, tmp_path), env={"WATTPROOF_DEPLOYER_KEY": key_of("beggar").hex()})
    assert isinstance(poor.exception, Refused) and "ether for gas" in poor.exception.errors[0].expected
    assert not (tmp_path / "deployment.json").exists()
    mistyped = [
        part.replace(address_of("admin"), address_of("admin").swapcase().replace("0X", "0x"))
        for part in deploying(node, tmp_path)
    ]
    typo = CliRunner().invoke(commands, mistyped, env={"WATTPROOF_DEPLOYER_KEY": key_of("deployer").hex()})
    assert isinstance(typo.exception, Refused) and typo.exception.errors[0].field == "admin"


def test_the_app_serves_the_manifests_market(node: Chain, manifest: Path, tmp_path: Path) -> None:
    ctx = build(settings(node, manifest, tmp_path, "operator", "metering"))
    try:
        assert ctx.deployment == Deployment.from_json(manifest.read_text())
        assert ctx.addresses == {role: address_of(who) for role, who in
                                 (("operator", "operator"), ("metering", "metering"), ("relayer", "operator"))}  # fmt: skip
        account = accounts.register(ctx, address_of("anna"), "anna").index
        today = ctx.client.day_of(1, ctx.now())
        accounts.bind_meter(ctx, account, PrivateKey(key_of("meter")).public, 1, today)
        with pytest.raises(Refused, match="does not act for the role guardian"):
            ctx.address("guardian")
    finally:
        ctx.close()
    alone = build(settings(node, manifest, tmp_path, "operator"))
    try:
        assert [view.label for view in accounts.page(alone, None, 0, 10)[0]] == ["anna"], "the same database goes on"
        with pytest.raises(Refused, match="does not act for the role metering"):
            accounts.bind_meter(alone, account, PrivateKey(key_of("another meter")).public, 1, today + 1)
    finally:
        alone.close()


def test_a_manifest_that_the_chain_does_not_bear_out_is_not_served(node: Chain, manifest: Path, tmp_path: Path) -> None:
    forged = json.loads(manifest.read_text())
    forged["contracts"]["Vault"] = forged["contracts"]["Settlement"]
    forged["code_hashes"]["Vault"] = forged["code_hashes"]["Settlement"]
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    with pytest.raises(DeploymentError, match="Vault: expected code"):
        build(settings(node, tmp_path / "forged.json", tmp_path, "operator"))
    with pytest.raises(Refused, match="not the operator's") as caught:
        build(settings(node, manifest, tmp_path, operator_key=key_of("mallory").hex()))
    assert caught.value.errors[0].field == "WATTPROOF_OPERATOR_KEY"
    with pytest.raises(Refused, match="A key is needed"):
        build(settings(node, manifest, tmp_path))
    with pytest.raises(Refused, match="Which market"):
        build(settings(node, tmp_path / "none.json", tmp_path, "operator"))


def test_another_market_starts_anew_and_says_so(node: Chain, manifest: Path, tmp_path: Path) -> None:
    first = build(settings(node, manifest, tmp_path, "operator"))
    accounts.register(first, address_of("bojan"), "bojan")
    first.close()
    key = next(iter(Deployment.from_json(manifest.read_text()).keys.values()))
    other = deploy(
        node, key_of("deployer"), [VerifyingKey(1, key.words, True)], ZoneSpec(0, 60),
        operator=address_of("operator"), metering=address_of("metering"), guardian=address_of("guardian"),
    )  # fmt: skip
    (tmp_path / "other.json").write_text(other.to_json())
    second = build(settings(node, tmp_path / "other.json", tmp_path, "operator"))
    try:
        assert second.started_anew is not None and "another market" in second.started_anew
        assert accounts.page(second, None, 0, 10) == ([], None)
    finally:
        second.close()


def test_money_is_spent_after_asking_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Off development chains, and never without a word about the cost."""
    asked: list[str] = []

    def no(text: str, **_: Any) -> None:
        asked.append(text)
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", no)
    holders = Holders(*(address_of(role) for role in ("admin", "operator", "metering", "guardian")))
    begun = Begun(steps={"Zones": Sent("0x", "0x", 0, 1)})
    with open_chain("tester") as chain:
        chain.fund(address_of("deployer"))
        steps = {"Zones": 700_000, "Vault": 1_300_000}
        _agree(chain, address_of("deployer"), holders, steps, begun, yes=False)
        assert asked == [], "a development chain costs nothing"
        chain.chain_id = 1
        with pytest.raises(typer.Abort):
            _agree(chain, address_of("deployer"), holders, steps, begun, yes=False)
        assert len(asked) == 1
        _agree(chain, address_of("deployer"), holders, steps, begun, yes=True)
    assert "1 of 2 steps were taken before" in (told := capsys.readouterr().err)
    assert "about 1.30 M gas" in told


def test_a_killed_deployment_goes_on_with_the_same_command(tmp_path: Path) -> None:
    """The process is killed between its transactions, on a chain that mines by the clock."""
    (tmp_path / "deployer.key").write_text(key_of("deployer").hex())
    (tmp_path / "deployer.key").chmod(0o600)
    record = tmp_path / "deployment.json.begun"
    with open_chain("anvil") as chain:
        chain.fund(address_of("deployer"))
        chain._rpc("evm_setAutomine", False)  # type: ignore[attr-defined]
        chain._rpc("evm_setIntervalMining", 1)  # type: ignore[attr-defined]
        command = [*deploying(chain, tmp_path), "--key-file", str(tmp_path / "deployer.key")]
        program = [sys.executable, "-c", "from app.cli import main; main()", *command]
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while time.monotonic() < until and not (record.exists() and len(json.loads(record.read_text())["steps"]) > 5):
            time.sleep(0.05)
        process.kill()
        process.wait()
        before = json.loads(record.read_text())["steps"]
        assert 5 < len(before) < 25 and not (tmp_path / "deployment.json").exists()
        chain._rpc("evm_setIntervalMining", 0)  # type: ignore[attr-defined]
        chain._rpc("evm_setAutomine", True)  # type: ignore[attr-defined]
        chain._rpc("evm_mine")  # type: ignore[attr-defined]
        done = CliRunner().invoke(commands, command)
        assert done.exit_code == 0, (done.output, done.exception)
        assert f"{len(before)} of 51 steps were taken before" in done.stderr
        assert not record.exists()
        assert chain.nonce(address_of("deployer")) == 51, "50 steps and the holidays, each once"
        assert run("contracts", "verify", *command[2:6], "--json")["valid"]
