"""`wattproof contracts`: the Solidity sources, and the way of a market to a chain: deployed, verified, shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.commands.wallet import wallet_key
from app.errors import Refused
from contracts.blueprint import PARAMETERS, parameters

# Whatever opens a chain is imported where it is used: it takes longer than all other commands' help together.
if TYPE_CHECKING:
    from contracts.chain import Chain
    from contracts.deploy import Begun
    from contracts.manifest import Circuit, Deployment, Holders, ZoneSpec

app = typer.Typer(no_args_is_help=True, help="Solidity sources and artifacts; deploying a market and verifying it.")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

VARIABLE = "WATTPROOF_DEPLOYER_KEY"
GWEI = 10**9
ETHER = 10**18

Node = Annotated[str, typer.Option("--chain", help="Address of a node of the chain.", envvar="WATTPROOF_RPC")]
Manifest = Annotated[Path, typer.Option(help="The deployment's manifest.", envvar="WATTPROOF_DEPLOYMENT")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


_PARAMETERS = "Numbers that are fixed for ever: " + (
    "; ".join(f"{p.name}, {p.what} ({p.default})" for p in PARAMETERS) or "there are none yet."
)


@app.command("compile")
def compile_sources(
    check: Annotated[bool, typer.Option("--check", help="Only compare with the committed artifacts.")] = False,
) -> None:
    """Compiles the Solidity sources into the committed artifacts.

    Example: wattproof contracts compile --check
    """
    from contracts import compile as compiler

    sys.argv = ["wattproof contracts compile", *(["--check"] if check else [])]
    sys.exit(compiler.main())


@app.command("deploy")
def deploy_market(
    chain: Node,
    admin: Annotated[str, typer.Option(help="Who may change roles afterwards: the address of a timelock or a multisig.")],
    operator: Annotated[str, typer.Option(help="Opens and cancels sessions, pauses intake, keeps the calendar.")],
    guardian: Annotated[str, typer.Option(help="Decides on sessions under review, exempts sellers.")],
    metering: Annotated[str, typer.Option(help="Binds meter keys to accounts.")],
    manifest: Manifest = Path("deployment.json"),
    token: Annotated[
        str | None, typer.Option(help="ERC-20 with 6 decimals. Without it development chains get play money.")
    ] = None,
    offset: Annotated[int, typer.Option(help="Standard time of the first zone, seconds from UTC.")] = 3600,
    interval: Annotated[int, typer.Option(help="Minutes of an interval of the first zone: 15, 30 or 60.")] = 60,
    holiday: Annotated[list[str] | None, typer.Option(help="A holiday to come, as 2027-01-01; may be given again.")] = None,
    zk_key: Annotated[
        str | None, typer.Option(help="Name of the circuits' keys; by default WATTPROOF_ZK_KEY, else development.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Numbers of accounts a proof, as 1,10; by default WATTPROOF_PROOF_SIZES.")
    ] = None,
    verifier: Annotated[
        list[str] | None, typer.Option(help="A verifier that is deployed already, as 10=0xADDRESS; may be given again.")
    ] = None,
    fork_verifier: Annotated[str | None, typer.Option(help="The forks' verifier, if it is deployed already.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help=f"{_PARAMETERS} As 'guard k=4000000'; may be given again.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help=f"File with the deployer's private key, readable by its owner alone; else {VARIABLE}.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money is spent.")] = False,
    as_json: Json = False,
) -> None:
    """Deploys a market, hands out its roles, verifies both and writes the manifest that `wattproof serve` reads.

    The deployer keeps no role. What was done stands in MANIFEST.begun until everything is: after an interruption the same
    command goes on where it was.

    Example: wattproof contracts deploy --chain https://node.example --admin 0xTIMELOCK --operator 0xA --guardian 0xB
    --metering 0xC --token 0xEURO --zk-key production --key-file deployer.key --manifest deployment.json
    """
    from eth_account import Account

    from app.settings import Settings
    from contracts import verification
    from contracts.chain import open_chain
    from contracts.deploy import Begun, deploy, rehearse, require_deployable
    from contracts.manifest import Holders, ZoneSpec
    from zk.files import locked, write_whole

    if manifest.exists():
        raise _refused("manifest", "a file that does not exist yet", f"{manifest}, which does; verify it instead")
    key = wallet_key(key_file, VARIABLE)
    holders = Holders(
        admin=_address("admin", admin),
        operator=_address("operator", operator),
        metering=_address("metering", metering),
        guardian=_address("guardian", guardian),
    )
    euro = None if token is None else _address("token", token)
    numbers = _numbers(parameter or [])
    zone = ZoneSpec(offset, _minutes(interval), _days(holiday or []))
    record = manifest.with_name(f"{manifest.name}.begun")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with locked(manifest.with_name(f".{manifest.name}.lock")), open_chain(chain) as node:
        with _steps("keys of the circuits"):
            name = zk_key or Settings().zk_key
            circuits, forks = _circuits(name, zone, sizes, verifier or [], fork_verifier)
        require_deployable(node, [*circuits, *forks], holders, euro)
        begun = Begun.from_json(record.read_text()) if record.exists() else Begun()
        with _steps("rehearsing the deployment, for its cost"):
            steps = rehearse(circuits, zone, token=euro is not None, forks=forks, parameters=numbers)
        _agree(node, str(Account.from_key(key).address), holders, steps, begun, yes)
        with _steps("deploying") as tell:
            made = deploy(
                node,
                key,
                circuits,
                zone,
                operator=holders.operator,
                metering=holders.metering,
                admin=holders.admin,
                guardian=holders.guardian,
                token=euro,
                forks=forks,
                parameters=numbers,
                begun=begun,
                keep=lambda now: write_whole(record, now.to_json().encode()),
                tell=tell,
            )
        write_whole(manifest, made.to_json().encode())
        record.unlink(missing_ok=True)
        told = verification.warnings(node, made)
    gas = sum(sent.gas_used or 0 for sent in begun.steps.values())
    if as_json:
        print(
            json.dumps({"manifest": str(manifest), "gas_used": gas, "warnings": told, **json.loads(made.to_json())}, indent=2)
        )
        return
    _describe(made)
    _warn(told)
    out.print(f"Deployed and verified with {gas} gas; {manifest} is the manifest. WATTPROOF_DEPLOYMENT={manifest} serves it.")


@app.command("verify")
def verify_market(chain: Node, manifest: Manifest = Path("deployment.json"), as_json: Json = False) -> None:
    """Holds a manifest against the chain: code, roles and that nobody else has one, settings, token, keys. Exits 1 on a
    difference.

    Nothing is sent and no key is needed: anybody can verify a market. The code is compared with this version's artifacts.

    Example: wattproof contracts verify --chain https://node.example --manifest deployment.json
    """
    from contracts import verification
    from contracts.chain import open_chain

    deployment = _read(manifest)
    with _steps("verifying"), open_chain(chain) as node:
        found = verification.differences(node, deployment, every_size=True)
        told = [] if found else verification.warnings(node, deployment)
    if as_json:
        print(json.dumps({"valid": not found, "differences": [asdict(d) for d in found], "warnings": told}, indent=2))
    else:
        for difference in found:
            out.print(str(difference), markup=False, style="red")
        _warn(told)
        if not found:
            out.print(f"{manifest}: {len(deployment.contracts)} contracts, every role and setting are as they should be")
    if found:
        raise typer.Exit(1)


@app.command("show")
def show(manifest: Manifest = Path("deployment.json"), as_json: Json = False) -> None:
    """A manifest in words. Says nothing about the chain: `verify` does.

    Example: wattproof contracts show --manifest deployment.json
    """
    deployment = _read(manifest)
    if as_json:
        print(deployment.to_json(), end="")
    else:
        _describe(deployment)


def _read(manifest: Path) -> Deployment:
    from contracts.manifest import Deployment

    try:
        return Deployment.from_json(manifest.read_text())
    except OSError as error:
        raise _refused("manifest", "a deployment's manifest", f"{manifest}: {error.strerror}") from None


def _refused(field: str, expected: str, got: str) -> Refused:
    return Refused("That is not possible.", field=field, expected=expected, got=got)


def _address(field: str, text: str) -> str:
    """A checksummed address; one with a wrong checksum was mistyped."""
    from eth_utils import is_checksum_formatted_address, is_hex_address, to_checksum_address

    from contracts.chain import ZERO_ADDRESS

    valid = is_hex_address(text) and (not is_checksum_formatted_address(text) or text == to_checksum_address(text))
    if not valid or text.lower() == ZERO_ADDRESS:
        raise _refused(field, "an address, 0x and 40 hexadecimal digits with the right checksum", text)
    return str(to_checksum_address(text))


def _minutes(interval: int) -> int:
    if interval not in (15, 30, 60):
        raise _refused("interval", "15, 30 or 60 minutes", str(interval))
    return interval


def _numbers(given: list[str]) -> dict[str, int]:
    try:
        return parameters({name.strip(): int(number) for name, _, number in (text.partition("=") for text in given)})
    except ValueError:
        raise _refused("parameter", "name=number", ", ".join(given)) from None


def _days(holidays: list[str]) -> tuple[int, ...]:
    try:
        return tuple(sorted(date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal() for text in holidays))
    except ValueError:
        raise _refused("holiday", "dates as 2027-01-01", ", ".join(holidays)) from None


def _circuits(
    name: str, zone: ZoneSpec, sizes: str | None, verifiers: list[str], fork_verifier: str | None
) -> tuple[list[Circuit], list[Circuit]]:
    """The statements' circuits and the forks', by the keys called `name`; a verifier that is deployed already must be of
    that key."""
    from app.deployed import fork_key, proving_key
    from app.settings import Settings
    from contracts.manifest import DeployedVerifier, VerifyingKey
    from zk.keys import KeyPaths, read_info

    intervals = 1440 // zone.interval_minutes
    try:
        wanted = sorted({int(part) for part in sizes.split(",")}) if sizes else sorted(set(Settings().proof_sizes))
        named = {int(size): _address("verifier", at) for size, _, at in (text.partition("=") for text in verifiers)}
    except ValueError:
        raise _refused("sizes", "numbers as 1,10, verifiers as 10=0xADDRESS", f"{sizes}, {verifiers}") from None
    if not set(named) <= set(wanted):
        raise _refused("verifier", f"verifiers of the sizes {wanted}", str(sorted(named)))

    def circuit(size: int, paths: KeyPaths, at: str | None) -> Circuit:
        key = VerifyingKey(size, paths.verifying_key().words(), read_info(paths.info).development)
        return key if at is None else DeployedVerifier(size, at, key)

    statements = [circuit(size, proving_key(name, intervals, size), named.get(size)) for size in wanted]
    at = None if fork_verifier is None else _address("fork_verifier", fork_verifier)
    return statements, [circuit(intervals, fork_key(name, intervals), at)]


def _agree(node: Chain, deployer: str, holders: Holders, steps: dict[str, int], begun: Begun, yes: bool) -> None:
    """Says what is about to happen and what it costs, and asks for consent where that is money."""
    left = {name: gas for name, gas in steps.items() if name not in begun.steps}
    fee, _ = node.fees()
    gas = sum(left.values())
    most = gas * fee
    err.print(f"chain {node.chain_id} (genesis {node.genesis[:18]}...), deployer {deployer}")
    err.print(f"admin {holders.admin}\noperator {holders.operator}\nguardian {holders.guardian}\nmetering {holders.metering}")
    if begun.steps:
        err.print(f"{len(begun.steps)} of {len(steps)} steps were taken before")
    err.print(
        f"{len(left)} transactions, about {gas / 1e6:.2f} M gas: at most {most / ETHER:.6f} ether "
        f"at {fee / GWEI:.3f} gwei a gas"
    )
    if (balance := node.balance(deployer)) < most:
        raise _refused("deployer", f"at least {most / ETHER:.6f} ether for gas", f"{balance / ETHER:.6f} ether of {deployer}")
    if not node.is_development and not yes:
        typer.confirm("This spends money, and contracts cannot be changed afterwards. Deploy?", abort=True, err=True)


@contextmanager
def _steps(what: str) -> Iterator[Callable[[str], None]]:
    """Shows the step under way; what is told stays on the screen."""
    with err.status(what):
        yield lambda line: err.print(f"  {line}", markup=False)


def _warn(told: list[str]) -> None:
    for line in told:
        out.print(f"warning: {line}", markup=False, style="yellow")


def _describe(deployment: Deployment) -> None:
    holders = deployment.holders
    lines = [
        f"chain {deployment.chain_id}, genesis {deployment.genesis}, from block {deployment.block} on",
        f"zone {deployment.zone}, {deployment.day_intervals} intervals a day",
        f"proofs for {', '.join(map(str, deployment.circuits))} accounts",
        *(f"  {role:<9} {holder}" for role, holder in asdict(holders).items()),
    ]
    for name, address in deployment.contracts.items():
        notes = ["play money"] if name == "Token" and deployment.play_money else []
        if (key := deployment.keys.get(name)) is not None:
            notes.append("DEVELOPMENT key" if key.development else "ceremony's key")
        lines.append(f"  {name:<14} {address}  code {deployment.code_hashes[name][:18]}...  {', '.join(notes)}".rstrip())
    out.print("\n".join(lines), markup=False)
