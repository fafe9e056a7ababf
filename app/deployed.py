"""Which market a process serves: that of a manifest, the one it served before, or on a development chain a new one of its own.
And the keys that it has for the market's roles."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

from eth_account import Account
from pydantic import SecretStr

from app import migrate
from app.database import Database
from app.errors import Refused
from app.settings import Settings
from contracts.chain import Chain
from contracts.deploy import deploy
from contracts.manifest import Deployment, DeploymentError, VerifyingKey, ZoneSpec
from contracts.verification import verify
from zk.compile import FORK
from zk.files import write_whole
from zk.keys import KeyPaths, ensure_key, read_info

ROLES = ("operator", "metering", "guardian", "relayer")
"""Keys that this process may sign with. Each role has its own on a development chain."""

INTERVALS = 24
"""Intervals a day of the circuit that set-up makes a key for."""


@cache
def proving_key(name: str, intervals: int, accounts: int = 1) -> KeyPaths:
    """The key called `name` of the circuit for `accounts` accounts, checked once a process."""
    return ensure_key(name, intervals, accounts)


@cache
def fork_key(name: str, intervals: int) -> KeyPaths:
    """The key called `name` of the circuit of fork evidence for days of `intervals` intervals, checked once a process."""
    return ensure_key(name, intervals, 1, kind=FORK)


def start_anew_elsewhere(settings: Settings, database: Database, chain: Chain, given: Deployment | None) -> str | None:
    """Empties a database that follows another chain or another market than the one to serve; says so, None where it did not."""
    remembered, stored = database.get_meta("genesis"), database.get_meta("deployment")
    another = None
    if remembered is not None and remembered != chain.genesis:
        another = f"another chain (genesis {remembered[:18]}...)"
    elif given is not None and stored is not None:
        market = json.loads(stored)["contracts"]["FlexMarket"]
        if market != given.contracts["FlexMarket"]:
            another = f"another market ({market})"
    if another is not None:
        assert remembered is not None
        kept = migrate.keep_copy(settings.url, remembered[2:10])
        where = f"; what it held is kept in {kept.name}" if kept else ""
        migrate.reset(settings.url)
        another = f"The database belonged to {another} and starts anew{where}."
    database.set_meta("genesis", chain.genesis)
    return another


def given(settings: Settings) -> Deployment | None:
    """The market of the manifest that the settings name."""
    if settings.deployment is None:
        return None
    try:
        return Deployment.from_json(settings.deployment.read_text())
    except OSError as error:
        raise Refused(
            "Which market?",
            field="WATTPROOF_DEPLOYMENT",
            expected="a manifest, as wattproof contracts deploy writes it",
            got=f"{settings.deployment}: {error.strerror}",
        ) from None


def market(
    settings: Settings, database: Database, chain: Chain, zone: ZoneSpec, wanted: Deployment | None
) -> tuple[Deployment, dict[str, bytes]]:
    """The market to serve, verified, and this process's keys by role."""
    stored = database.get_meta("deployment")
    if wanted is None and stored is None and chain.is_development:
        keys = _development_keys(settings)
        deployment = _deploy(settings, chain, keys, zone)
    else:
        if wanted is not None:
            deployment = wanted
        elif stored is not None:
            deployment = _stored(settings, stored)
        else:
            raise Refused(
                "Nothing is deployed on this chain.",
                field="WATTPROOF_DEPLOYMENT",
                expected="a manifest, as wattproof contracts deploy writes it",
                got="none",
            )
        verify(chain, deployment)
        own = chain.is_development and wanted is None
        keys = _development_keys(settings) if own and settings.operator_key is None else _given_keys(settings)
        _require_holders(deployment, keys)
    database.set_meta("deployment", deployment.to_json())
    return deployment, keys


def _stored(settings: Settings, text: str) -> Deployment:
    try:
        return Deployment.from_json(text)
    except DeploymentError as error:
        raise DeploymentError(
            f"{error}. The market in {settings.data_dir} is an earlier version's: set WATTPROOF_DATA_DIR to another "
            "folder to begin a new one."
        ) from None


def _deploy(settings: Settings, chain: Chain, keys: dict[str, bytes], zone: ZoneSpec) -> Deployment:
    """A market of this process alone, on a development chain."""
    addresses = {role: Account.from_key(key).address for role, key in keys.items()}
    for address in addresses.values():
        chain.fund(address)
    circuits = []
    for size in sorted(set(settings.proof_sizes)):
        key = proving_key(settings.zk_key, INTERVALS, size)
        circuits.append(VerifyingKey(size, key.verifying_key().words(), read_info(key.info).development))
    fork = fork_key(settings.zk_key, INTERVALS)
    return deploy(
        chain,
        keys["operator"],
        circuits,
        zone,
        operator=addresses["operator"],
        metering=addresses["metering"],
        guardian=addresses["guardian"],
        forks=[VerifyingKey(INTERVALS, fork.verifying_key().words(), read_info(fork.info).development)],
    )


def _given_keys(settings: Settings) -> dict[str, bytes]:
    """Keys from the settings. The operator's pays for gas and must be there; without a relayer's it carries orders as well."""
    found = {role: _key(role, getattr(settings, f"{role}_key")) for role in ROLES}
    keys = {role: key for role, key in found.items() if key is not None}
    if "operator" not in keys:
        raise Refused(
            "A key is needed for this market.", field="WATTPROOF_OPERATOR_KEY", expected="a private key", got="nothing"
        )
    return {"relayer": keys["operator"], **keys}


def _key(role: str, secret: SecretStr | None) -> bytes | None:
    if secret is None:
        return None
    try:
        key = bytes.fromhex(secret.get_secret_value().strip().removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != 32 or not any(key):
        field = f"WATTPROOF_{role.upper()}_KEY"
        raise Refused("This is no private key.", field=field, expected="64 hexadecimal digits", got="something else")
    return key


def _require_holders(deployment: Deployment, keys: dict[str, bytes]) -> None:
    """A key that does not hold its role would only be refused, one transaction after the other."""
    for role, holder in asdict(deployment.holders).items():
        if role in keys and (address := Account.from_key(keys[role]).address) != holder:
            raise Refused(
                f"This key is not the {role}'s.",
                field=f"WATTPROOF_{role.upper()}_KEY",
                expected=f"the key of {holder}, as the manifest says",
                got=f"that of {address}",
            )


def _development_keys(settings: Settings) -> dict[str, bytes]:
    """Keys of a development chain's own market, made at first use and kept beside the database."""
    text = secret(
        settings.data_dir / "development-keys.json", lambda: json.dumps({role: secrets.token_hex(32) for role in ROLES})
    )
    return {role: bytes.fromhex(key) for role, key in json.loads(text).items()}


def secret(path: Path, make: Callable[[], str]) -> str:
    """The content of a file that only its owner can read, made at first use."""
    if not path.exists():
        write_whole(path, make().encode())
        path.chmod(0o600)
    return path.read_text()
