"""Holds a manifest against the chain: code, roles, settings, token, keys. Nothing is sent, and any node will do.

Code is compared with what the committed artifacts give: the node makes each contract once more from its creation code
(`eth_call`), with the arguments that follow from the manifest, and the code that comes out has to be the code that is there. So
every immutable is compared as well. Storage that a constructor or the deployment wrote is read back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak
from eth_utils import to_checksum_address

from contracts.artifacts import load
from contracts.blueprint import (
    CONTRACTS,
    DEFAULT_ADMIN_ROLE,
    GOVERNED,
    GRANTS,
    OPEN_ROLES,
    ROLE_NAMES,
    SETTINGS,
    TABLE,
    VERIFIERS,
    creation,
    words_of,
)
from contracts.chain import Chain, ChainError, Transaction, created_address
from contracts.manifest import Deployment, DeploymentError, Holders
from contracts.refusals import ContractRefusal
from contracts.typed_data import Domain

NOBODY = str(to_checksum_address(keccak(b"wattproof verification")[12:]))
"""Who makes contracts once more; an address without a key."""

DECIMALS = 6
MAX_ACCOUNTS = 256
"""Largest statement, as in Deliveries.sol."""

DAY_INTERVALS = (24, 48, 96)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be."""

    contract: str
    """Its name in the manifest, or `chain`, `roles`, `manifest`."""
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.contract}: expected {self.expected}, got {self.got}"


def verify(chain: Chain, deployment: Deployment) -> None:
    """Raises `DeploymentError` with every difference between the manifest and the chain."""
    if found := differences(chain, deployment):
        raise DeploymentError("\n".join(map(str, found)))


def differences(chain: Chain, deployment: Deployment, *, every_size: bool = False) -> list[Difference]:
    """What is not as it should be; none if everything is. With `every_size` the contracts are asked for verifiers of sizes that
    the manifest does not name as well, which takes some hundred calls."""
    if (chain.chain_id, chain.genesis) != (deployment.chain_id, deployment.genesis):
        expected = f"chain {deployment.chain_id} with genesis {deployment.genesis}"
        return [Difference("chain", "chain", expected, f"{chain.chain_id} with {chain.genesis}")]
    missing = [name for name in ("Token", *CONTRACTS) if name not in deployment.contracts]
    if missing:
        return [
            Difference(name, "manifest", "an address", "none in the manifest, which an earlier version wrote; deploy anew")
            for name in missing
        ]
    try:
        found = [*_separate(chain, deployment), *_code(chain, deployment), *_creations(chain, deployment)]
        found += [*_token(chain, deployment), *_keys(chain, deployment)]
        if any(difference.what == "code" for difference in found):
            return [*found, *_held(chain, deployment)]  # other code may answer anything
        return [*found, *_roles(chain, deployment), *_settings(chain, deployment), *_sizes(chain, deployment, every_size)]
    except ContractRefusal as error:
        raise DeploymentError(f"the contracts do not answer as they should: {error}") from None


def warnings(chain: Chain, deployment: Deployment) -> list[str]:
    """What is allowed and still worth knowing."""
    told = [f"{pair} have the same holder" for pair in shared(deployment.holders)] if chain.is_development else []
    holders = deployment.holders
    for role, holder in (("operator", holders.operator), ("guardian", holders.guardian), ("metering", holders.metering)):
        if holder == holders.admin:
            told.append(f"the administrator {holder} holds the role {role} as well: one key for everything")
    if not chain.code(holders.admin):
        told.append(f"the administrator {holders.admin} is a plain key, neither a timelock nor a multisig")
    if unknown := [name for name in CONTRACTS if _creation(chain, deployment, name) is None]:
        told.append(
            f"{', '.join(unknown)}: this node does not know the transactions that made them; one that keeps all can tell "
            "whether their storage began as it should"
        )
    told += [
        f"{name}: its verifying key is not in the manifest, so its code was compared with nothing but the manifest's hash"
        for name in deployment.contracts
        if _is_verifier(name) and name not in deployment.keys
    ]
    return told


def shared(holders: Holders) -> list[str]:
    """Pairs of roles that one address holds and that should be separate."""
    named = (("operator", holders.operator), ("guardian", holders.guardian), ("metering", holders.metering))
    return [f"{a} and {b}" for i, (a, one) in enumerate(named) for b, other in named[i + 1 :] if one.lower() == other.lower()]


def expected_code(chain: Chain, creation_code: bytes, address: str, domain: bool) -> bytes:
    """Code that a contract made of `creation_code` has at `address`. It may hold its own address and, with `domain`, the
    separator of its EIP-712 domain, which are another's where the node makes it once more."""
    elsewhere = created_address(NOBODY, chain.nonce(NOBODY))
    code = chain.created(creation_code, NOBODY)
    if domain:
        there, here = (Domain(chain.chain_id, at).separator for at in (elsewhere, address))
        code = code.replace(there, here)
    return code.replace(_word(elsewhere), _word(address))


def _word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def _code(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    """Contracts whose code is not the manifest's or not what the artifacts give."""
    words = words_of(deployment)
    made = {contract.name: creation(contract, words) for contract in TABLE}
    for name, key in deployment.keys.items():
        made[name] = load("Groth16Verifier").creation(key.words, key.development)
    if deployment.play_money:
        made["Token"] = load("DevEuro").creation()
    for name, address in deployment.contracts.items():
        code = chain.code(address)
        found = "0x" + keccak(code).hex()
        if not code:
            yield Difference(name, "code", f"code at {address}", "none")
        elif found != deployment.code_hashes.get(name):
            yield Difference(name, "code", f"code {deployment.code_hashes.get(name)}", found)
        elif name in made:
            try:
                wanted = expected_code(chain, made[name], address, "eip712Domain" in _functions(name))
            except ContractRefusal as error:
                yield Difference(name, "code", "arguments that its constructor takes", str(error))
                continue
            if wanted != code:
                hashed = "0x" + keccak(wanted).hex()
                yield Difference(name, "code", f"code {hashed} from the artifact with the manifest's arguments", found)


def _creations(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    """Contracts that were made otherwise than by the artifact. The same code can be put there by a constructor of somebody's
    own, which leaves what it likes in storage: money, or a role that no event tells of."""
    words = words_of(deployment)
    for contract in TABLE:
        name = contract.name
        if (sent := _creation(chain, deployment, name)) is None:
            continue
        receipt = chain.receipt(sent.hash)
        made = receipt.contract if receipt is not None and receipt.succeeded else None
        wanted = creation(contract, {**words, "deployer": sent.sender})
        if sent.to is not None or sent.data != wanted or made != deployment.contracts[name]:
            expected = "its creation by the artifact with the manifest's arguments"
            yield Difference(name, "creation", expected, f"another in transaction {sent.hash}")


def _creation(chain: Chain, deployment: Deployment, name: str) -> Transaction | None:
    """The transaction that made a contract, None where the node or the manifest does not know it."""
    known = deployment.creations.get(name)
    return None if known is None else chain.transaction(known)


def _functions(name: str) -> Any:
    return load(name).functions if name in CONTRACTS else ()


def _token(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    if deployment.play_money and not chain.is_development:
        yield Difference("Token", "token", "real money on this chain", "play money")
    address = deployment.contracts["Token"]
    if (decimals := token_decimals(chain, address)) != str(DECIMALS):
        yield Difference("Token", "token", f"{DECIMALS} decimals", decimals)
    vault = load("Vault").functions["token"]
    try:
        held = str(vault.result(chain.call(deployment.contracts["Vault"], vault.call())))
    except (ContractRefusal, ValueError):
        held = "no answer"
    if held != address:
        yield Difference("Vault", "token", f"the token {address}", held)


def token_decimals(chain: Chain, address: str) -> str:
    """Decimals of an ERC-20, or that there is none."""
    function = load("DevEuro").functions["decimals"]
    try:
        return str(function.result(chain.call(address, function.call()))) if chain.code(address) else "no contract"
    except (ContractRefusal, ValueError):
        return "no ERC-20"


def _is_verifier(name: str) -> bool:
    return name.rstrip("0123456789") in VERIFIERS


def _keys(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    """Development keys off development chains, in verifiers or in the manifest."""
    function = load("Groth16Verifier").functions["development"]
    for name, address in deployment.contracts.items():
        if not _is_verifier(name):
            continue
        if (
            (size := int(name[len(name.rstrip("0123456789")) :]))
            and name in deployment.keys
            and deployment.keys[name].size != size
        ):
            yield Difference(name, "key", f"a key of size {size}", f"one of size {deployment.keys[name].size}")
        try:
            marked = bool(function.result(chain.call(address, function.call()))) if chain.code(address) else None
        except (ContractRefusal, ValueError):
            marked = None
        if marked is None:
            yield Difference(name, "key", "a verifier that says whether its key is for development", "no answer")
        elif marked and not chain.is_development:
            yield Difference(
                name, "key", "a ceremony's key on this chain", "a development key, with which deliveries can be forged"
            )


def _separate(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    """Roles in one hand, off development chains."""
    for pair in shared(deployment.holders) if not chain.is_development else ():
        yield Difference("roles", "role", f"{pair} to be different addresses on this chain", "the same")


def _settings(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    words = words_of(deployment)
    for setting in SETTINGS:
        found = _ask(chain, deployment, setting.contract, setting.getter, *setting.key)
        if found != words[setting.value]:
            expected = f"{setting.getter}{setting.key} to be {setting.value} {words[setting.value]}"
            yield Difference(setting.contract, "setting", expected, str(found))
    minutes = _ask(chain, deployment, "Zones", "get", deployment.zone)[1]
    if minutes * deployment.day_intervals != 1440:
        yield Difference(
            "Zones", "setting", f"zone {deployment.zone} with {deployment.day_intervals} intervals", f"{minutes} min"
        )


def _sizes(chain: Chain, deployment: Deployment, every: bool) -> Iterator[Difference]:
    """Verifiers that a contract asks and the manifest does not name, or the other way round."""
    for prefix, contract in VERIFIERS.items():
        named = deployment.verifiers(prefix)
        all_sizes = DAY_INTERVALS if contract == "Forks" else range(1, MAX_ACCOUNTS + 1)
        for size in all_sizes if every else named:
            found = str(_ask(chain, deployment, contract, "verifierOf", size))
            wanted = named.get(size, "0x" + "00" * 20)
            if found.lower() != wanted.lower():
                yield Difference(contract, "verifier", f"the verifier of size {size} to be {wanted}", found)


def _roles(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    """Roles that are not held by exactly those who should hold them, by every event about roles since the deployment."""
    yield from _held(chain, deployment)
    expected = {(name, DEFAULT_ADMIN_ROLE, deployment.holders.admin.lower()) for name in GOVERNED}
    words = words_of(deployment)
    expected |= {(grant.contract, grant.role, str(words[grant.holder]).lower()) for grant in GRANTS}
    for name, role, holder in role_holders(chain, deployment):
        if (name, role, holder.lower()) not in expected and role not in OPEN_ROLES:
            held = f"{holder}, which holds it too"
            yield Difference(name, "role", f"nobody else to hold the role {_role(role)}", held)


def _held(chain: Chain, deployment: Deployment) -> Iterator[Difference]:
    """Roles that are not held by those who should hold them."""
    words = words_of(deployment)
    wanted = [(name, DEFAULT_ADMIN_ROLE, "admin") for name in GOVERNED]
    wanted += [(grant.contract, grant.role, grant.holder) for grant in GRANTS]
    for name, role, holder in wanted:
        try:
            held = bool(_ask(chain, deployment, name, "hasRole", role, words[holder]))
        except (ChainError, ContractRefusal, ValueError):
            held = False
        if not held:
            said = f"{words[holder]} ({holder}) to hold the role {_role(role)}"
            yield Difference(name, "role", said, "that it does not")


def role_holders(chain: Chain, deployment: Deployment) -> list[tuple[str, bytes, str]]:
    """Who holds which role of which contract now: contract, role, holder. Raises `DeploymentError` where the manifest's first
    block is too late to tell."""
    access = load("Vault").events
    granted, revoked = (next(t for t, e in access.items() if e["name"] == name) for name in ("RoleGranted", "RoleRevoked"))
    names = {deployment.contracts[name]: name for name in GOVERNED}
    held: dict[tuple[str, bytes, str], bool] = {}
    first: dict[str, bool] = {}
    for log in chain.logs(list(names), deployment.block, None, (granted, revoked)):
        name, role = names[log.address], log.topics[1]
        holder, sender = (str(to_checksum_address(topic[12:])) for topic in log.topics[2:4])
        first.setdefault(name, role == DEFAULT_ADMIN_ROLE and holder == sender)
        held[name, role, holder] = log.topics[0] == granted
    for name in GOVERNED:  # a constructor makes its sender the administrator: without that event, others may be missing as well
        if not first.get(name):
            raise DeploymentError(
                f"{name}: expected its first role to be given in block {deployment.block} or later, got none: the manifest's "
                "block is too late, or the node does not keep events that old"
            )
    return [key for key, holds in held.items() if holds]


def _role(role: bytes) -> str:
    return ROLE_NAMES.get(role, "0x" + role.hex())


def _ask(chain: Chain, deployment: Deployment, name: str, function: str, *values: Any) -> Any:
    entry = load(name).functions[function]
    return entry.result(chain.call(deployment.contracts[name], entry.call(*values)))
