"""What verification notices, each difference by itself: every one of these markets would let somebody cheat."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from contracts_world import GENESIS, OFFSET, address_of, key_of
from eth_hash.auto import keccak
from machine import fast_backend
from test_verifier import KEY

import contracts.blueprint
import contracts.deploy
import contracts.verification
from contracts.artifacts import load
from contracts.blueprint import DEFAULT_ADMIN_ROLE, MARKET_ROLE, OPERATOR_ROLE, Parameter, Setting
from contracts.chain import Chain, ChainError, open_chain
from contracts.deploy import Begun, deploy, rehearse
from contracts.manifest import DeployedVerifier, Deployment, DeploymentError, VerifyingKey, ZoneSpec
from contracts.verification import differences, verify, warnings

pytestmark = pytest.mark.slow

ZONE = ZoneSpec(OFFSET, 60)
CEREMONY = VerifyingKey(1, tuple(KEY), False)
FORKS = VerifyingKey(24, tuple(KEY), False)
PEOPLE = {role: address_of(role) for role in ("operator", "metering", "guardian")}


def opened(backend: str) -> Chain:
    chain = open_chain(backend, GENESIS)
    for name in ("deployer", "timelock", "operator"):
        chain.fund(address_of(name))
    return chain


def deployed(chain: Chain) -> Deployment:
    return deploy(chain, key_of("deployer"), [CEREMONY], ZONE, **PEOPLE, admin=address_of("timelock"), forks=[FORKS])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """For tests that leave the market as it is."""
    with opened(fast_backend()) as made:
        yield made


@pytest.fixture(scope="module")
def market(chain: Chain) -> Deployment:
    return deployed(chain)


@pytest.fixture
def fresh() -> Iterator[Chain]:
    with opened(fast_backend()) as made:
        yield made


@pytest.fixture
def embedded() -> Iterator[Chain]:
    with opened("tester") as made:
        yield made


@pytest.fixture
def public(embedded: Chain, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the embedded chain say that it is Ethereum's, from now on."""

    def become() -> None:
        monkeypatch.setattr(type(embedded._chain), "chain_id", 1)  # type: ignore[attr-defined]
        embedded.chain_id = 1

    return become


def told(chain: Chain, deployment: Deployment, every_size: bool = False) -> list[str]:
    return [str(difference) for difference in differences(chain, deployment, every_size=every_size)]


def grant(
    chain: Chain, deployment: Deployment, name: str, function: str, role: bytes, holder: str, by: str = "timelock"
) -> None:
    call = load(name).functions[function].call(role, holder)
    chain.transact(deployment.contracts[name], call, key_of(by))


def hashed(chain: Chain, deployment: Deployment, name: str, address: str) -> Deployment:
    """A manifest that names another contract, with the hash of its code: what a forger would hand out."""
    return dataclasses.replace(
        deployment,
        contracts={**deployment.contracts, name: address},
        code_hashes={**deployment.code_hashes, name: "0x" + keccak(chain.code(address)).hex()},
    )


def create(chain: Chain, artifact: str, *values: object) -> str:
    address = chain.transact(None, load(artifact).creation(*values), key_of("deployer")).contract
    assert address
    return address


def test_a_market_as_it_should_be(chain: Chain, market: Deployment) -> None:
    assert told(chain, market, every_size=True) == []
    assert any("plain key" in line for line in warnings(chain, market))


def test_other_immutables_are_other_code(chain: Chain, market: Deployment) -> None:
    """The same source with another vault: its hash stands in the forged manifest, and still it is not the artifact's."""
    at = market.contracts
    vault = create(chain, "Vault", address_of("deployer"), at["Token"], at["Accounts"])
    forged = create(chain, "FlexMarket", address_of("deployer"), at["Accounts"], at["Zones"], vault)
    found = told(chain, hashed(chain, market, "FlexMarket", forged))
    assert any(line.startswith("FlexMarket: expected code") and "from the artifact" in line for line in found), found


def test_other_code_and_none(chain: Chain, market: Deployment) -> None:
    found = told(chain, hashed(chain, market, "Vault", market.contracts["Zones"]))
    assert any(line.startswith("Vault: expected code") for line in found), found
    swapped = dataclasses.replace(market, code_hashes={**market.code_hashes, "Vault": market.code_hashes["Zones"]})
    assert told(chain, swapped)[0].startswith("Vault: expected code")
    empty = dataclasses.replace(market, contracts={**market.contracts, "Settlement": address_of("nobody")})
    assert any(line.startswith("Settlement: expected code at") for line in told(chain, empty))


def test_the_right_code_with_rigged_storage(chain: Chain, market: Deployment) -> None:
    """A constructor of the deployer's own writes a role into the vault that no event tells of, and returns the vault's code."""
    code = chain.code(market.contracts["Vault"])
    role = keccak(MARKET_ROLE + bytes(32))  # mapping of roles in slot 0, members first
    slot = keccak(bytes.fromhex(address_of("mallory")[2:]).rjust(32, b"\0") + role)
    push32, size = b"\x7f", b"\x61" + len(code).to_bytes(2, "big")
    start = b"\x60\x01" + push32 + slot + b"\x55"  # sstore(slot, 1)
    start += size + b"\x60" + bytes([len(start) + 12]) + b"\x5f\x39"  # codecopy(0, here, size)
    start += size + b"\x5f\xf3"  # return(0, size)
    receipt = chain.transact(None, start + code, key_of("deployer"))
    assert receipt.contract and chain.code(receipt.contract) == code
    function = load("Vault").functions["hasRole"]
    assert function.result(chain.call(receipt.contract, function.call(MARKET_ROLE, address_of("mallory"))))
    forged = hashed(chain, market, "Vault", receipt.contract)
    for creations in ({**market.creations, "Vault": receipt.transaction}, market.creations):
        found = told(chain, dataclasses.replace(forged, creations=creations))
        assert any(line.startswith("Vault: expected its creation by the artifact") for line in found), found
    unknown = dataclasses.replace(market, creations={})
    assert told(chain, unknown) == [] and any("does not know the transactions" in line for line in warnings(chain, unknown))


def test_another_verifying_key(chain: Chain, market: Deployment) -> None:
    """A verifier of a key whose secret somebody knows, in the place of the ceremony's."""
    swapped = KEY[:16] + KEY[14:16] + KEY[18:]
    other = create(chain, "Groth16Verifier", swapped, False)
    found = told(chain, hashed(chain, market, "Verifier1", other))
    assert any(line.startswith("Verifier1: expected code") for line in found), found


def test_a_verifier_that_the_manifest_does_not_name(chain: Chain, market: Deployment) -> None:
    at = market.contracts
    hidden = create(chain, "Groth16Verifier", KEY, False)
    sizes = [(1, at["Verifier1"]), (7, hidden)]
    deliveries = create(chain, "Deliveries", at["Accounts"], at["Zones"], at["FlexMarket"], 24, sizes)
    found = told(chain, hashed(chain, market, "Deliveries", deliveries), every_size=True)
    assert any(f"Deliveries: expected the verifier of size 7 to be 0x{'00' * 20}, got {hidden}" in line for line in found), (
        found
    )


def test_a_role_that_is_missing(chain: Chain, market: Deployment) -> None:
    grant(chain, market, "Vault", "revokeRole", MARKET_ROLE, market.contracts["FlexMarket"])
    (only,) = told(chain, market)
    assert only.startswith(f"Vault: expected {market.contracts['FlexMarket']} (FlexMarket) to hold the role MARKET")
    with pytest.raises(DeploymentError, match="MARKET"):
        verify(chain, market)
    grant(chain, market, "Vault", "grantRole", MARKET_ROLE, market.contracts["FlexMarket"])
    assert told(chain, market) == []


@pytest.mark.parametrize(
    ("name", "role", "told_as"),
    [("Vault", MARKET_ROLE, "MARKET"), ("FlexMarket", OPERATOR_ROLE, "OPERATOR"), ("Accounts", DEFAULT_ADMIN_ROLE, "ADMIN")],
)
def test_somebody_else_holds_a_role(chain: Chain, market: Deployment, name: str, role: bytes, told_as: str) -> None:
    grant(chain, market, name, "grantRole", role, address_of("mallory"))
    (only,) = told(chain, market)
    assert only == f"{name}: expected nobody else to hold the role {told_as}, got {address_of('mallory')}, which holds it too"
    grant(chain, market, name, "revokeRole", role, address_of("mallory"))
    assert told(chain, market) == []


def test_a_manifest_that_hides_earlier_grants(chain: Chain, market: Deployment) -> None:
    late = dataclasses.replace(market, block=chain.block().number)
    with pytest.raises(DeploymentError, match="block is too late"):
        differences(chain, late)


def test_a_token_with_other_decimals(chain: Chain, market: Deployment) -> None:
    found = told(chain, hashed(chain, market, "Token", market.contracts["Zones"]))
    assert any(line.startswith("Token: expected 6 decimals") for line in found), found
    assert any(line.startswith("Vault: expected the token") for line in found), found
    with pytest.raises(DeploymentError, match=r"Token: expected 6 decimals at .*Nothing was sent"):
        deploy(chain, key_of("deployer"), [CEREMONY], ZONE, **PEOPLE, token=market.contracts["Zones"])  # type: ignore[arg-type]


def test_play_money_and_development_keys_off_development_chains(embedded: Chain, public: Callable[[], None]) -> None:
    market = deployed(embedded)
    marked = create(embedded, "Groth16Verifier", KEY, True)
    public()
    found = told(embedded, hashed(embedded, dataclasses.replace(market, chain_id=1), "Verifier1", marked))
    assert any(
        line.startswith("Verifier1: expected a ceremony's key on this chain, got a development key") for line in found
    ), found
    assert any(line.startswith("Token: expected real money") for line in found), found


def test_one_address_for_two_roles(embedded: Chain, public: Callable[[], None]) -> None:
    same = {**PEOPLE, "guardian": address_of("operator")}
    shared = deploy(embedded, key_of("deployer"), [CEREMONY], ZONE, **same, admin=address_of("timelock"))  # type: ignore[arg-type]
    assert any("operator and guardian" in line for line in warnings(embedded, shared)), (
        "allowed, and told, on a development chain"
    )
    before = embedded.nonce(address_of("deployer"))
    public()
    with pytest.raises(DeploymentError, match=r"on chain 1, got the same for operator and guardian.*Nothing was sent"):
        deploy(embedded, key_of("deployer"), [CEREMONY], ZONE, **same, token=shared.contracts["Token"])  # type: ignore[arg-type]
    assert embedded.nonce(address_of("deployer")) == before
    found = told(embedded, dataclasses.replace(shared, chain_id=1))
    assert any(line.startswith("roles: expected operator and guardian to be different") for line in found), found


class PowerCutError(BaseException):
    """What no handler in the product catches."""


@pytest.mark.parametrize(("step", "sent"), [(0, True), (3, False), (6, True), (11, False), (20, True)])
def test_an_interrupted_deployment_goes_on_where_it_was(
    fresh: Chain, monkeypatch: pytest.MonkeyPatch, step: int, sent: bool
) -> None:
    """The power goes before or after a transaction is sent; what is kept is what was stored before."""
    kept: list[str] = []
    real, count = fresh.send_raw, 0

    def cut(raw: bytes) -> str:
        nonlocal count
        count += 1
        if count == step + 1:
            if sent:
                real(raw)
            raise PowerCutError
        return real(raw)

    def again() -> Deployment:
        return deploy(
            fresh, key_of("deployer"), [CEREMONY], ZONE, **PEOPLE, admin=address_of("timelock"), forks=[FORKS],  # type: ignore[arg-type]
            begun=Begun.from_json(kept[-1]) if kept else Begun(), keep=lambda begun: kept.append(begun.to_json()),
        )  # fmt: skip

    with monkeypatch.context() as patch:
        patch.setattr(fresh, "send_raw", cut)
        with pytest.raises(PowerCutError):
            again()
    made = again()
    assert told(fresh, made) == []
    assert fresh.nonce(address_of("deployer")) == len(Begun.from_json(kept[-1]).steps), "nothing was sent twice"
    assert again() == made, "a third time changes nothing"


def test_a_deployment_goes_on_with_its_own_settings_only(fresh: Chain) -> None:
    begun = Begun()
    deploy(fresh, key_of("deployer"), [CEREMONY], ZONE, **PEOPLE, begun=begun)  # type: ignore[arg-type]
    others = {**PEOPLE, "guardian": address_of("mallory")}
    with pytest.raises(DeploymentError, match="expected the settings"):
        deploy(fresh, key_of("deployer"), [CEREMONY], ZONE, **others, begun=begun)  # type: ignore[arg-type]
    with open_chain("tester", GENESIS) as other, pytest.raises(DeploymentError, match="expected chain"):
        deploy(other, key_of("deployer"), [CEREMONY], ZONE, **PEOPLE, begun=begun)  # type: ignore[arg-type]


def test_a_rehearsal_tells_the_gas(fresh: Chain) -> None:
    begun = Begun()
    deploy(fresh, key_of("deployer"), [CEREMONY], ZONE, **PEOPLE, admin=address_of("timelock"), forks=[FORKS], begun=begun)  # type: ignore[arg-type]
    steps = rehearse([CEREMONY], ZONE, token=False, forks=[FORKS])
    assert list(steps) == list(begun.steps)
    told_gas, used = sum(steps.values()), sum(sent.gas_used or 0 for sent in begun.steps.values())
    assert abs(told_gas - used) < used // 100
    assert "Token" not in rehearse([CEREMONY], ZONE, token=True)


def test_a_verifier_that_is_there_must_be_of_its_key(chain: Chain) -> None:
    there = create(chain, "Groth16Verifier", KEY, False)
    made = deploy(chain, key_of("deployer"), [DeployedVerifier(1, there, CEREMONY)], ZONE, **PEOPLE)  # type: ignore[arg-type]
    assert made.contracts["Verifier1"] == there
    other = create(chain, "Groth16Verifier", KEY[:16] + KEY[14:16] + KEY[18:], False)
    with pytest.raises(DeploymentError, match="Verifier1: expected code"):
        deploy(chain, key_of("deployer"), [DeployedVerifier(1, other, CEREMONY)], ZONE, **PEOPLE)  # type: ignore[arg-type]
    unknown = deploy(chain, key_of("deployer"), [DeployedVerifier(1, other)], ZONE, **PEOPLE)  # type: ignore[arg-type]
    assert any("Verifier1: its verifying key is not in the manifest" in line for line in warnings(chain, unknown))


def test_a_deployment_needs_its_gas(chain: Chain) -> None:
    with pytest.raises(ChainError):
        deploy(chain, key_of("beggar"), [CEREMONY], ZONE, **PEOPLE)  # type: ignore[arg-type]


def test_a_parameter_that_there_is_not(chain: Chain) -> None:
    with pytest.raises(DeploymentError, match=r"parameters: expected some of .*, got median"):
        deploy(chain, key_of("deployer"), [CEREMONY], ZONE, **PEOPLE, parameters={"median": 3})  # type: ignore[arg-type]


def test_a_setting_is_made_once_and_verified(fresh: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables alone say what is set: here, beside the rest, that intake begins paused."""
    setting = Setting("FlexMarket", "setPaused", "paused", (), "paused at first")
    for module in (contracts.deploy, contracts.verification):
        monkeypatch.setattr(module, "SETTINGS", (*contracts.blueprint.SETTINGS, setting))
    usual = contracts.blueprint.PARAMETERS
    one_more = Parameter("paused at first", True, "whether intake begins paused")
    monkeypatch.setattr(contracts.blueprint, "PARAMETERS", (*usual, one_more))
    people = {**PEOPLE, "operator": address_of("deployer")}
    made = deploy(fresh, key_of("deployer"), [CEREMONY], ZONE, **people)  # type: ignore[arg-type]
    assert (
        made.parameters == {**{p.name: p.default for p in usual}, "paused at first": True}
        and Deployment.from_json(made.to_json()) == made
    )
    assert told(fresh, made) == []
    fresh.transact(made.contracts["FlexMarket"], load("FlexMarket").functions["setPaused"].call(False), key_of("deployer"))
    (only,) = told(fresh, made)
    assert only == "FlexMarket: expected paused() to be paused at first True, got False"
