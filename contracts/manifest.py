"""The manifest of a deployment: where everything is, what was deployed and who holds which role. Text that anybody can check
against a chain (contracts/verification.py); nothing in it is secret."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


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
    """A verifier that is on the chain already; `size` as above. With `key` its code is compared, else it has to be believed."""

    size: int
    address: str
    key: VerifyingKey | None = None


Circuit = VerifyingKey | DeployedVerifier


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """A zone: standard-time offset in seconds, interval length in minutes, holidays as day numbers (those to come are set)."""

    offset: int
    interval_minutes: int
    holidays: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds the roles that people have; docs/deploy.md says what each can do."""

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
    """Address by name: Token, those of contracts/blueprint.py, Verifier1, Verifier32, ..., ForkVerifier24, ..."""
    code_hashes: dict[str, str]
    holders: Holders
    play_money: bool
    """Whether the token is DevEuro, which anyone can mint."""
    keys: dict[str, VerifyingKey] = field(default_factory=dict)
    """Verifying key by name of the verifier, where it is known."""
    creations: dict[str, str] = field(default_factory=dict)
    """Hash of the transaction that made a contract, by name."""
    parameters: dict[str, int] = field(default_factory=dict)
    """Numbers that constructors were given, by their names in contracts/blueprint.py."""

    @property
    def circuits(self) -> tuple[int, ...]:
        """Numbers of accounts for which there is a circuit, ascending."""
        return tuple(sorted(self.verifiers("Verifier")))

    def verifiers(self, prefix: str) -> dict[int, str]:
        """Address by size of the verifiers whose names are `prefix` and a number, in the order of the deployment."""
        named = {name: address for name, address in self.contracts.items() if name.startswith(prefix)}
        return {int(name.removeprefix(prefix)): address for name, address in named.items()}

    def to_json(self) -> str:
        data = asdict(self)
        for key in data["keys"].values():
            key["words"] = [hex(word) for word in key["words"]]  # beyond what most readers of JSON take for a number
        return json.dumps(data, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        """Raises `DeploymentError` where this is no manifest, or an earlier version's."""
        try:
            data: dict[str, Any] = json.loads(text)
            keys = {
                name: VerifyingKey(key["size"], tuple(int(word, 16) for word in key["words"]), key["development"])
                for name, key in data["keys"].items()
            }
            return cls(**{**data, "holders": Holders(**data["holders"]), "keys": keys})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DeploymentError(
                f"deployment: expected a manifest of this version, got something else ({type(error).__name__}: {error}); "
                "deploy anew, or write it again with `wattproof contracts deploy`"
            ) from None
