"""Deploys the contracts, hands out the roles, checks both, and keeps the result as a manifest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eth_account import Account
from eth_hash.auto import keccak

from contracts.artifacts import load
from contracts.chain import Chain, ChainError

DEFAULT_ADMIN_ROLE = bytes(32)
OPERATOR_ROLE = keccak(b"OPERATOR")
METERING_ROLE = keccak(b"METERING")
GUARDIAN_ROLE = keccak(b"GUARDIAN")
MARKET_ROLE = keccak(b"MARKET")
SETTLEMENT_ROLE = keccak(b"SETTLEMENT")
DELIVERIES_ROLE = keccak(b"DELIVERIES")
FORKS_ROLE = keccak(b"FORKS")


CONTRACTS = ("Zones", "Accounts", "Vault", "FlexMarket", "Deliveries", "Settlement", "Forks")
"""Contracts of every market, beside token and verifiers."""


class DeploymentError(RuntimeError):
    """What is on the chain is not what the manifest says; the message names the contract and the difference."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A circuit's key: 22 words in the order of Groth16Verifier.sol. `size` is the number of accounts of a statement's circuit,
    the number of intervals of a day of a fork's."""

    size: int
    words: tuple[int, ...]
    development: bool


@dataclass(frozen=True, slots=True)
class DeployedVerifier:
    """A verifier that is on the chain already; `size` as above."""

    size: int
    address: str


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """A zone: standard-time offset in seconds, interval length in minutes, holidays as day numbers (those to come are set)."""

    offset: int
    interval_minutes: int
    holidays: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds the roles that people have. The guardian's role is reserved: no contract asks for it yet."""

    admin: str
    operator: str
    metering: str
    guardian: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where everything is."""

    chain_id: int
    genesis: str
    block: int
    """Block of the first contract: events start here."""
    zone: int
    day_intervals: int
    """T of the zone."""
    contracts: dict[str, str]
    """Address by name: Token, Zones, Accounts, Vault, FlexMarket, Deliveries, Settlement, Forks, Verifier1, Verifier32, ...,
    ForkVerifier24, ..."""
    code_hashes: dict[str, str]
    holders: Holders

    @property
    def circuits(self) -> tuple[int, ...]:
        """Numbers of accounts for which there is a circuit, ascending."""
        return tuple(sorted(int(name[8:]) for name in self.contracts if name.startswith("Verifier")))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        data = json.loads(text)
        return cls(**{**data, "holders": Holders(**data["holders"])})


def deploy(
    chain: Chain,
    deployer: bytes,
    circuits: Sequence[VerifyingKey | DeployedVerifier],
    zone: ZoneSpec,
    *,
    operator: str,
    metering: str,
    admin: str | None = None,
    guardian: str | None = None,
    token: str | None = None,
    forks: Sequence[VerifyingKey | DeployedVerifier] = (),
) -> Deployment:
    """Deploys one market. `circuits` are the statements', `forks` the forks' (docs/protocol.md section 8). `deployer` is a
    funded key; without `admin` (a timelock, say) it stays the administrator. Without `token`, an ERC-20 with 6 decimals, a
    development chain gets play money and any other chain a `ChainError`. Everything is verified before it returns."""
    own = Account.from_key(deployer).address
    holders = Holders(admin or own, operator, metering, guardian or operator)
    made: dict[str, str] = {}
    first = chain.block().number + 1

    def create(name: str, artifact: str, *values: Any) -> str:
        receipt = chain.transact(None, load(artifact).creation(*values), deployer)
        if receipt.contract is None:
            raise DeploymentError(f"{name}: the chain names no address")
        made[name] = receipt.contract
        return receipt.contract

    def do(name: str, function: str, *values: Any) -> None:
        chain.transact(made[name], load(name).functions[function].call(*values), deployer)

    def listed(prefix: str, circuits: Sequence[VerifyingKey | DeployedVerifier]) -> list[tuple[int, str]]:
        """Size and verifier of every circuit; verifiers are created where they are not on the chain."""
        for circuit in circuits:
            name = f"{prefix}{circuit.size}"
            if isinstance(circuit, DeployedVerifier):
                made[name] = circuit.address
            else:
                create(name, "Groth16Verifier", circuit.words, circuit.development)
        return [(circuit.size, made[f"{prefix}{circuit.size}"]) for circuit in circuits]

    _require_ceremony_keys(chain, [*circuits, *forks])
    if token is None:
        chain.require_development("deploy without a token")
        create("Token", "DevEuro")
    else:
        made["Token"] = token
    create("Zones", "Zones", own)
    create("Accounts", "Accounts", own, made["Zones"])
    create("Vault", "Vault", own, made["Token"], made["Accounts"])
    create("FlexMarket", "FlexMarket", own, made["Accounts"], made["Zones"], made["Vault"])
    day_intervals = 1440 // zone.interval_minutes
    proofs = listed("Verifier", circuits)
    create("Deliveries", "Deliveries", made["Accounts"], made["Zones"], made["FlexMarket"], day_intervals, proofs)
    create("Forks", "Forks", made["Accounts"], made["Zones"], listed("ForkVerifier", forks))
    create("Settlement", "Settlement", made["FlexMarket"], made["Vault"])

    do("Zones", "grantRole", OPERATOR_ROLE, own)
    do("Zones", "add", zone.offset, zone.interval_minutes)
    today = (chain.now() + zone.offset) // 86400
    if to_come := [day for day in zone.holidays if day > today + 1]:
        do("Zones", "setHolidays", 1, to_come, True)
    for name, role, holder in _grants(made, holders):
        do(name, "grantRole", role, holder)
    if own != holders.operator:
        do("Zones", "renounceRole", OPERATOR_ROLE, own)
    if own != holders.admin:
        for name in ("Zones", "Accounts", "Vault", "FlexMarket"):
            do(name, "grantRole", DEFAULT_ADMIN_ROLE, holders.admin)
            do(name, "renounceRole", DEFAULT_ADMIN_ROLE, own)

    hashes = {name: "0x" + keccak(chain.code(address)).hex() for name, address in made.items()}
    deployment = Deployment(chain.chain_id, chain.genesis, first, 1, day_intervals, made, hashes, holders)
    verify(chain, deployment)
    _require_no_role(chain, deployment, own)
    return deployment


def verify(chain: Chain, deployment: Deployment) -> None:
    """Raises `DeploymentError` unless the chain is the manifest's, every contract has its code and every role its holder."""
    if (chain.chain_id, chain.genesis) != (deployment.chain_id, deployment.genesis):
        raise DeploymentError(
            f"chain: expected {deployment.chain_id} with genesis {deployment.genesis}, "
            f"got {chain.chain_id} with {chain.genesis}"
        )
    for name in CONTRACTS:
        if name not in deployment.contracts:
            raise DeploymentError(f"{name}: not in the manifest, which an earlier version wrote; deploy anew")
    for name, address in deployment.contracts.items():
        found = "0x" + keccak(chain.code(address)).hex()
        if found != deployment.code_hashes[name]:
            raise DeploymentError(f"{name}: expected code {deployment.code_hashes[name]}, got {found}")
    for name, role, holder in _grants(deployment.contracts, deployment.holders):
        if not _has_role(chain, deployment, name, role, holder):
            raise DeploymentError(f"{name}: expected {holder} to hold the role 0x{role.hex()}")


def _grants(at: dict[str, str], holders: Holders) -> list[tuple[str, bytes, str]]:
    """Every role after deployment: contract, role, holder."""
    return [
        ("Zones", OPERATOR_ROLE, holders.operator),
        ("Accounts", METERING_ROLE, holders.metering),
        ("Accounts", MARKET_ROLE, at["FlexMarket"]),
        ("Accounts", FORKS_ROLE, at["Forks"]),
        ("Vault", MARKET_ROLE, at["FlexMarket"]),
        ("Vault", SETTLEMENT_ROLE, at["Settlement"]),
        ("FlexMarket", OPERATOR_ROLE, holders.operator),
        ("FlexMarket", GUARDIAN_ROLE, holders.guardian),
        ("FlexMarket", SETTLEMENT_ROLE, at["Settlement"]),
        ("FlexMarket", DELIVERIES_ROLE, at["Deliveries"]),
    ]


def _require_no_role(chain: Chain, deployment: Deployment, own: str) -> None:
    """The deployer must not keep what it was not meant to have."""
    for name, role, kept in (
        ("Zones", OPERATOR_ROLE, own == deployment.holders.operator),
        *((name, DEFAULT_ADMIN_ROLE, own == deployment.holders.admin) for name in ("Zones", "Accounts", "Vault", "FlexMarket")),
    ):
        if _has_role(chain, deployment, name, role, own) != kept:
            raise DeploymentError(f"{name}: the deployer {own} {'lost' if kept else 'kept'} the role 0x{role.hex()}")


def _require_ceremony_keys(chain: Chain, circuits: Sequence[VerifyingKey | DeployedVerifier]) -> None:
    """What Deliveries would refuse at its own deployment, said before any gas is spent."""
    if chain.is_development:
        return
    development = load("Groth16Verifier").functions["development"]
    for circuit in circuits:
        if isinstance(circuit, VerifyingKey):
            marked = circuit.development
        else:
            marked = bool(development.result(chain.call(circuit.address, development.call())))
        if marked:
            raise DeploymentError(
                f"chain {chain.chain_id} takes no development keys, and the key of a circuit of size {circuit.size} is one: "
                "whoever kept its secret could forge deliveries. Import a ceremony's key (docs/keys.md) and deploy with that. "
                "Nothing was sent."
            )


def _has_role(chain: Chain, deployment: Deployment, name: str, role: bytes, holder: str) -> bool:
    function = load(name).functions["hasRole"]
    try:
        return bool(function.result(chain.call(deployment.contracts[name], function.call(role, holder))))
    except ChainError as error:
        raise DeploymentError(f"{name}: {error}") from None
