"""Deploys a market by the tables of contracts/blueprint.py and verifies it. Each transaction is written down before it is sent,
so that a deployment that was interrupted goes on where it was and makes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
from contracts.chain import Chain, Receipt, open_chain
from contracts.manifest import Circuit, DeployedVerifier, Deployment, DeploymentError, Holders, VerifyingKey, ZoneSpec
from contracts.verification import DECIMALS, expected_code, shared, token_decimals, verify

__all__ = [
    "CONTRACTS", "DEFAULT_ADMIN_ROLE", "DELIVERIES_ROLE", "FORKS_ROLE", "GUARDIAN_ROLE", "MARKET_ROLE", "METERING_ROLE",
    "OPERATOR_ROLE", "REPLACEMENT_ROLE", "SETTLEMENT_ROLE", "Begun", "DeployedVerifier", "Deployment", "DeploymentError",
    "Holders", "Sent", "VerifyingKey", "ZoneSpec", "deploy", "rehearse", "require_deployable", "verify",
]  # fmt: skip

PATIENCE_S = 600.0
"""Seconds until a transaction of a deployment has to be mined."""


@dataclass(slots=True)
class Sent:
    """A transaction of a deployment, written down before it is sent. `gas_used` is None until it is mined."""

    raw: str
    transaction: str
    nonce: int
    gas_used: int | None = None


@dataclass(slots=True)
class Begun:
    """A deployment that is under way: what was sent for each of its steps, in order. `settings` is a hash of everything that it
    was begun with."""

    chain_id: int = 0
    genesis: str = ""
    settings: str = ""
    block: int = 0
    steps: dict[str, Sent] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Begun:
        try:
            data = json.loads(text)
            return cls(**{**data, "steps": {name: Sent(**sent) for name, sent in data["steps"].items()}})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DeploymentError(f"a deployment that was begun: expected its record, got {type(error).__name__}") from None


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
    at_work = _Deployer(chain, deployer, _resumed(begun, chain, settings), keep, tell)

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


class _Deployer:
    """Sends a deployment's transactions, each once."""

    def __init__(
        self, chain: Chain, key: bytes, begun: Begun, keep: Callable[[Begun], None], tell: Callable[[str], None]
    ) -> None:
        self.chain = chain
        self.begun = begun
        self._key = key
        self._keep = keep
        self._tell = tell

    def create(self, name: str, code: bytes, domain: bool) -> str:
        """Address of the contract made of `code`; one that was made before must be just that."""
        before = name in self.begun.steps
        receipt = self._once(name, None, code)
        if receipt.contract is None:
            raise DeploymentError(f"{name}: the chain names no address")
        if before and self.chain.code(receipt.contract) != expected_code(self.chain, code, receipt.contract, domain):
            raise DeploymentError(
                f"{name}: expected the code of the artifact at {receipt.contract}, got another; remove the record of the "
                "deployment that was begun, and start anew"
            )
        self._tell(f"{name} {'is at' if before else 'deployed at'} {receipt.contract}, {receipt.gas_used} gas")
        return receipt.contract

    def do(self, step: str, to: str, name: str, function: str, *values: Any) -> None:
        """Calls a function of a contract."""
        before = step in self.begun.steps
        receipt = self._once(step, to, load(name).functions[function].call(*values))
        self._tell(f"{step}, {'done before' if before else f'{receipt.gas_used} gas'}")

    def _once(self, step: str, to: str | None, data: bytes) -> Receipt:
        sent = self.begun.steps.get(step)
        receipt = None if sent is None else self._sent_before(sent)
        if receipt is None:
            prepared = self.chain.prepare(to, data, self._key)
            sent = self.begun.steps[step] = Sent("0x" + prepared.raw.hex(), prepared.hash, prepared.nonce)
            self._keep(self.begun)
            receipt = self.chain.wait(self.chain.send_raw(prepared.raw), PATIENCE_S)
        assert sent is not None
        if not receipt.succeeded:
            del self.begun.steps[step]
            self._keep(self.begun)
            raise DeploymentError(f"{step}: {self.chain.refusal_of(receipt.transaction)}")
        if sent.gas_used is None:
            sent.gas_used = receipt.gas_used
            self._keep(self.begun)
        return receipt

    def _sent_before(self, sent: Sent) -> Receipt | None:
        """Receipt of what an interrupted deployment sent or was about to send; None where it can never be mined."""
        receipt = self.chain.receipt(sent.transaction)
        if receipt is None:
            known = self.chain.transaction(sent.transaction) is not None
            if not known and self.chain.nonce(Account.from_key(self._key).address) > sent.nonce:
                return None
            receipt = self.chain.wait(self.chain.send_raw(bytes.fromhex(sent.raw[2:])), PATIENCE_S)
        return receipt


def _set_up_zone(at_work: _Deployer, zones: str, own: str, holders: Holders, zone: ZoneSpec) -> None:
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


def _resumed(begun: Begun | None, chain: Chain, settings: str) -> Begun:
    """A record to go on with, or a fresh one."""
    begun = Begun() if begun is None else begun
    if not begun.settings:
        begun.chain_id, begun.genesis, begun.settings, begun.block = (
            chain.chain_id,
            chain.genesis,
            settings,
            chain.block().number + 1,
        )
    elif (begun.chain_id, begun.genesis) != (chain.chain_id, chain.genesis):
        raise DeploymentError(
            f"the deployment that was begun: expected chain {begun.chain_id} with genesis {begun.genesis}, "
            f"got {chain.chain_id} with {chain.genesis}"
        )
    elif begun.settings != settings:
        raise DeploymentError(
            "the deployment that was begun: expected the settings, keys and contracts that it was begun with, got others; "
            "give the same again, or remove its record to start anew"
        )
    return begun


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
