"""Deploys a market by the tables of contracts/blueprint.py, hands out its roles and verifies both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eth_account import Account
from eth_hash.auto import keccak
from eth_utils import to_checksum_address

from contracts.artifacts import load
from contracts.blueprint import (
    CONTRACTS,
    DEFAULT_ADMIN_ROLE,
    DELIVERIES_ROLE,
    FORKS_ROLE,
    GOVERNED,
    GRANTS,
    GUARDIAN_ROLE,
    MARKET_ROLE,
    METERING_ROLE,
    OPERATOR_ROLE,
    REPLACEMENT_ROLE,
    ROLE_NAMES,
    SETTINGS,
    SETTLEMENT_ROLE,
    TABLE,
    creation,
)
from contracts.blueprint import parameters as all_parameters
from contracts.chain import Chain, open_chain
from contracts.manifest import Circuit, DeployedVerifier, Deployment, DeploymentError, Holders, VerifyingKey, ZoneSpec
from contracts.steps import Begun, Sent, Steps, resumed
from contracts.verification import DECIMALS, shared, token_decimals, verify

__all__ = [
    "CONTRACTS", "DEFAULT_ADMIN_ROLE", "DELIVERIES_ROLE", "FORKS_ROLE", "GUARDIAN_ROLE", "MARKET_ROLE", "METERING_ROLE",
    "OPERATOR_ROLE", "REPLACEMENT_ROLE", "SETTLEMENT_ROLE", "Begun", "DeployedVerifier", "Deployment", "DeploymentError",
    "Holders", "Sent", "VerifyingKey", "ZoneSpec", "deploy", "rehearse", "require_deployable", "verify",
]  # fmt: skip


def deploy(
    chain: Chain,
    deployer: bytes,
    circuits: Sequence[Circuit],
    zone: ZoneSpec,
    *,
    operator: str,
    metering: str,
    admin: str | None = None,
    guardian: str | None = None,
    token: str | None = None,
    forks: Sequence[Circuit] = (),
    parameters: Mapping[str, int] | None = None,
    begun: Begun | None = None,
    keep: Callable[[Begun], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Deployment:
    """Deploys one market. `circuits` are the statements', `forks` the forks' (docs/protocol.md section 8). `deployer` is a
    funded key; without `admin` (a timelock, say) it stays the administrator. Without `token`, an ERC-20 with 6 decimals, a
    development chain gets play money and any other chain a `ChainError`. `parameters` are numbers for constructors by their
    names in contracts/blueprint.py. Everything is verified before it returns.

    `begun` is what an interrupted deployment with the same settings left behind; `keep` stores it, before each transaction and
    after it.
    """
    own = str(Account.from_key(deployer).address)
    holders = Holders(*(str(to_checksum_address(a)) for a in (admin or own, operator, metering, guardian or operator)))
    require_deployable(chain, [*circuits, *forks], holders, token)
    given = all_parameters(parameters or {})
    settings = _hash(own, asdict(holders), token, asdict(zone), [asdict(c) for c in (*circuits, *forks)], given)
    at_work = Steps(chain, deployer, resumed(begun, chain, settings), keep, tell)

    words: dict[str, Any] = {
        "deployer": own,
        "admin": holders.admin,
        "operator": holders.operator,
        "metering": holders.metering,
        "guardian": holders.guardian,
        "day intervals": 1440 // zone.interval_minutes,
        **given,
    }
    made: dict[str, str] = {}

    def create(name: str, code: bytes, domain: bool = False) -> None:
        words[name] = made[name] = at_work.create(name, code, domain)

    if token is None:
        create("Token", load("DevEuro").creation())
    else:
        words["Token"] = made["Token"] = str(to_checksum_address(token))
    keys: dict[str, VerifyingKey] = {}
    for what, prefix, listed in (("statement circuits", "Verifier", circuits), ("fork circuits", "ForkVerifier", forks)):
        for circuit in listed:
            name = f"{prefix}{circuit.size}"
            key = circuit.key if isinstance(circuit, DeployedVerifier) else circuit
            if key is not None:
                keys[name] = key
            if isinstance(circuit, DeployedVerifier):
                made[name] = str(to_checksum_address(circuit.address))
            else:
                create(name, load("Groth16Verifier").creation(circuit.words, circuit.development))
        words[what] = [(circuit.size, made[f"{prefix}{circuit.size}"]) for circuit in listed]
    for contract in TABLE:
        create(contract.name, creation(contract, words), "eip712Domain" in load(contract.name).functions)

    _set_up_zone(at_work, made["Zones"], own, holders, zone)
    for grant in GRANTS:
        step, to = f"{grant.contract}: {ROLE_NAMES[grant.role]} to {grant.holder}", made[grant.contract]
        at_work.do(step, to, grant.contract, "grantRole", grant.role, words[grant.holder])
    for setting in SETTINGS:
        at_work.do(f"{setting.contract}: {setting.setter}{setting.key} {setting.value}", made[setting.contract],
        setting.contract, setting.setter, *setting.key, words[setting.value])  # fmt: skip
    if own != holders.admin:
        for name in GOVERNED:
            at_work.do(f"{name}: ADMIN to admin", made[name], name, "grantRole", DEFAULT_ADMIN_ROLE, holders.admin)
            at_work.do(f"{name}: ADMIN given up", made[name], name, "renounceRole", DEFAULT_ADMIN_ROLE, own)

    tell("verifying")
    hashes = {name: "0x" + keccak(chain.code(address)).hex() for name, address in made.items()}
    deployment = Deployment(
        chain_id=chain.chain_id,
        genesis=chain.genesis,
        block=at_work.begun.block,
        zone=1,
        day_intervals=1440 // zone.interval_minutes,
        contracts=made,
        code_hashes=hashes,
        holders=holders,
        play_money=token is None,
        keys=keys,
        creations={contract.name: at_work.begun.steps[contract.name].transaction for contract in TABLE},
        parameters=given,
    )
    verify(chain, deployment)
    return deployment


def rehearse(
    circuits: Sequence[Circuit],
    zone: ZoneSpec,
    *,
    token: bool,
    forks: Sequence[Circuit] = (),
    parameters: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Gas of every step of such a deployment, from a chain in this process that is gone afterwards; `token` says whether there
    is one already. The administrator is another than the deployer. Verifiers that are deployed already must have their keys."""
    begun, key = Begun(), keccak(b"rehearsal")
    roles = (b"admin", b"operator", b"metering", b"guardian")
    admin, operator, metering, guardian = (str(to_checksum_address(keccak(role)[12:])) for role in roles)
    with open_chain("tester") as chain:
        chain.fund(Account.from_key(key).address)

        def there(circuit: Circuit) -> Circuit:
            if not isinstance(circuit, DeployedVerifier):
                return circuit
            if circuit.key is None:
                raise DeploymentError(f"the verifier of size {circuit.size}: expected its key, got none")
            code = load("Groth16Verifier").creation(circuit.key.words, circuit.key.development)
            address = chain.transact(None, code, key).contract
            return DeployedVerifier(circuit.size, str(address), circuit.key)

        listed, evidence = [there(c) for c in circuits], [there(c) for c in forks]
        deploy(
            chain,
            key,
            listed,
            zone,
            operator=operator,
            metering=metering,
            admin=admin,
            guardian=guardian,
            forks=evidence,
            parameters=parameters,
            begun=begun,
        )
    return {name: sent.gas_used or 0 for name, sent in begun.steps.items() if not (token and name == "Token")}


def _set_up_zone(at_work: Steps, zones: str, own: str, holders: Holders, zone: ZoneSpec) -> None:
    """The first zone, made by the deployer, who holds the operator's role for that long."""
    if own != holders.operator:
        at_work.do("Zones: OPERATOR to the deployer, for now", zones, "Zones", "grantRole", OPERATOR_ROLE, own)
    else:
        at_work.do("Zones: OPERATOR to operator", zones, "Zones", "grantRole", OPERATOR_ROLE, own)
    at_work.do("Zones: zone 1", zones, "Zones", "add", zone.offset, zone.interval_minutes)
    today = (at_work.chain.now() + zone.offset) // 86400
    if to_come := [day for day in zone.holidays if day > today + 1]:
        at_work.do("Zones: holidays", zones, "Zones", "setHolidays", 1, to_come, True)
    if own != holders.operator:
        at_work.do("Zones: OPERATOR given up", zones, "Zones", "renounceRole", OPERATOR_ROLE, own)


def _hash(*values: Any) -> str:
    """A hash of settings and of the artifacts' code."""
    code = [keccak(load(name).bytecode).hex() for name in ("DevEuro", "Groth16Verifier", *CONTRACTS)]
    return str(keccak(json.dumps([code, *values], sort_keys=True).encode()).hex())


def require_deployable(chain: Chain, circuits: Sequence[Circuit], holders: Holders, token: str | None) -> None:
    """Raises `DeploymentError` or `ChainError` for what would end badly, before any gas is spent."""
    if token is None:
        chain.require_development("deploy without a token")
    elif (decimals := token_decimals(chain, token)) != str(DECIMALS):
        raise DeploymentError(f"Token: expected {DECIMALS} decimals at {token}, got {decimals}. Nothing was sent.")
    _require_ceremony_keys(chain, circuits)
    _require_separate(chain, holders)


def _require_separate(chain: Chain, holders: Holders) -> None:
    if not chain.is_development and (pairs := shared(holders)):
        raise DeploymentError(
            f"roles: expected different addresses on chain {chain.chain_id}, got the same for {', '.join(pairs)}: "
            "whoever takes that one key could open sessions, bind meters and exempt sellers. Nothing was sent."
        )


def _require_ceremony_keys(chain: Chain, circuits: Sequence[Circuit]) -> None:
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
