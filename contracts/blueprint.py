"""What a market consists of, as data: contracts with their constructor arguments, roles with their holders, settings. A
contract more is a line more in each table that it concerns; deployment and verification read nothing else.

An argument or holder is a word: the name of a contract (its address), one of the holders `admin`, `operator`, `metering`,
`guardian`, or one of `deployer`, `day intervals`, `statement circuits`, `fork circuits` and the names of `PARAMETERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from contracts.artifacts import load
from contracts.manifest import Deployment, DeploymentError

DEFAULT_ADMIN_ROLE = bytes(32)
OPERATOR_ROLE = keccak(b"OPERATOR")
METERING_ROLE = keccak(b"METERING")
GUARDIAN_ROLE = keccak(b"GUARDIAN")
MARKET_ROLE = keccak(b"MARKET")
SETTLEMENT_ROLE = keccak(b"SETTLEMENT")
DELIVERIES_ROLE = keccak(b"DELIVERIES")
FORKS_ROLE = keccak(b"FORKS")
REPLACEMENT_ROLE = keccak(b"REPLACEMENT")
DSO_ROLE = keccak(b"DSO")

ROLE_NAMES = {
    DEFAULT_ADMIN_ROLE: "ADMIN",
    OPERATOR_ROLE: "OPERATOR",
    METERING_ROLE: "METERING",
    GUARDIAN_ROLE: "GUARDIAN",
    MARKET_ROLE: "MARKET",
    SETTLEMENT_ROLE: "SETTLEMENT",
    DELIVERIES_ROLE: "DELIVERIES",
    FORKS_ROLE: "FORKS",
    REPLACEMENT_ROLE: "REPLACEMENT",
    DSO_ROLE: "DSO",
}

OPEN_ROLES = (DSO_ROLE,)
"""Roles that the operator gives and takes while the market runs: whoever holds them is no difference."""

VERIFIERS = {"Verifier": "Deliveries", "ForkVerifier": "Forks"}
"""Which contract asks the verifiers of a prefix; its `verifierOf(size)` names them."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract of every market, of the artifact of its name."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that somebody holds after deployment."""

    contract: str
    role: bytes
    holder: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What the administrator sets once, by `setter(*key, value)`; `getter(*key)` tells it."""

    contract: str
    setter: str
    getter: str
    key: tuple[int, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a constructor takes; whoever deploys may choose another than the default."""

    name: str
    default: int
    what: str


PARAMETERS = (
    Parameter("guard k", 5_000_000, "half the width of the price guard's band in spreads, ppm"),
    Parameter("guard floor", 10_000, "least spread, micro-euro per kWh"),
    Parameter("guard floor ppm", 100_000, "least spread, ppm of the median"),
    Parameter("guard history", 7, "prices that an hour type needs for a band, at most 28"),
    Parameter("guard volume", 500, "Wh from which on a price counts"),
    Parameter("block improvement", 1_000, "ppm by which a block proposal must raise the best welfare"),
    Parameter("block bond", 1_000_000, "micro-euro that a block proposal locks"),
)
"""Numbers that whoever deploys may choose; arguments name them."""

TABLE = (
    Contract("Zones", ("deployer",)),
    Contract("Accounts", ("deployer", "Zones")),
    Contract("Vault", ("deployer", "Token", "Accounts")),
    Contract("FlexMarket", ("deployer", "Accounts", "Zones", "Vault")),
    Contract(
        "PriceGuard",
        ("FlexMarket", "Zones", "guard k", "guard floor", "guard floor ppm", "guard history", "guard volume"),
    ),
    Contract("Clearing", ("FlexMarket", "Accounts", "Vault", "PriceGuard")),
    Contract("BlockClearing", ("FlexMarket", "Accounts", "Vault", "PriceGuard", "block improvement", "block bond")),
    Contract("FlexRequests", ("FlexMarket", "Accounts", "Vault")),
    Contract("Deliveries", ("Accounts", "Zones", "FlexMarket", "day intervals", "statement circuits")),
    Contract("Settlement", ("FlexMarket", "Vault")),
    Contract("Replacement", ("FlexMarket", "Accounts", "Vault", "Settlement")),
    Contract("Forks", ("Accounts", "Zones", "fork circuits")),
    Contract("Decisions", ("FlexMarket",)),
)
"""In the order of creation: whatever an argument names stands above, or is the token or a verifier."""

GRANTS = (
    Grant("Zones", OPERATOR_ROLE, "operator"),
    Grant("Accounts", METERING_ROLE, "metering"),
    Grant("Accounts", FORKS_ROLE, "Forks"),
    Grant("Accounts", MARKET_ROLE, "Clearing"),
    Grant("Accounts", MARKET_ROLE, "BlockClearing"),
    Grant("Accounts", MARKET_ROLE, "FlexRequests"),
    Grant("Accounts", MARKET_ROLE, "Replacement"),
    Grant("Vault", MARKET_ROLE, "FlexMarket"),
    Grant("Vault", MARKET_ROLE, "Clearing"),
    Grant("Vault", MARKET_ROLE, "BlockClearing"),
    Grant("Vault", MARKET_ROLE, "FlexRequests"),
    Grant("Vault", MARKET_ROLE, "Replacement"),
    Grant("Vault", MARKET_ROLE, "Settlement"),
    Grant("FlexMarket", OPERATOR_ROLE, "operator"),
    Grant("FlexMarket", GUARDIAN_ROLE, "guardian"),
    Grant("FlexMarket", SETTLEMENT_ROLE, "Settlement"),
    Grant("FlexMarket", SETTLEMENT_ROLE, "Replacement"),
    Grant("FlexMarket", DELIVERIES_ROLE, "Deliveries"),
    Grant("FlexMarket", REPLACEMENT_ROLE, "Replacement"),
)
"""Every role after deployment, beside the administrator's on each contract of `GOVERNED` and the `OPEN_ROLES`."""

SETTINGS = tuple(
    Setting("FlexMarket", "setResults", "resultsOf", (mode,), name)
    for mode, name in enumerate(("Clearing", "Clearing", "BlockClearing", "FlexRequests"))
)

CONTRACTS = tuple(contract.name for contract in TABLE)
"""Contracts of every market, beside token and verifiers."""

GOVERNED = tuple(name for name in CONTRACTS if "hasRole" in load(name).functions)
"""Contracts with roles."""


def parameters(given: Mapping[str, int]) -> dict[str, int]:
    """All parameters, those given and the others' defaults; raises `DeploymentError` for a name that there is not."""
    known = {parameter.name: parameter.default for parameter in PARAMETERS}
    if unknown := sorted(set(given) - set(known)):
        raise DeploymentError(f"parameters: expected some of {', '.join(known) or 'none'}, got {', '.join(unknown)}")
    return {**known, **given}


def words_of(deployment: Deployment) -> dict[str, Any]:
    """What the words of the tables stand for in a deployment that is complete. The deployer is taken for the administrator,
    since the code of a contract does not depend on it."""
    return {
        **deployment.contracts,
        "admin": deployment.holders.admin,
        "operator": deployment.holders.operator,
        "metering": deployment.holders.metering,
        "guardian": deployment.holders.guardian,
        "deployer": deployment.holders.admin,
        "day intervals": deployment.day_intervals,
        "statement circuits": list(deployment.verifiers("Verifier").items()),
        "fork circuits": list(deployment.verifiers("ForkVerifier").items()),
        **deployment.parameters,
    }


def creation(contract: Contract, words: Mapping[str, Any]) -> bytes:
    """Creation code of a contract with its arguments."""
    return load(contract.name).creation(*(words[argument] for argument in contract.arguments))
