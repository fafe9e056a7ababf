"""Everything that can be configured, with its default. Read from the environment (`WATTPROOF_*`) and from `.env`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.clearing_words import GAS_A_CALL

ROOT = Path(__file__).resolve().parent.parent
"""The repository, or wherever the packages are installed."""


class Settings(BaseSettings):
    """Settings of one Wattproof process."""

    model_config = SettingsConfigDict(env_prefix="WATTPROOF_", env_file=".env", extra="ignore")

    data_dir: Path = Field(ROOT / "var", description="Database, chain state, keys of a development chain.")
    database_url: str | None = Field(None, description="SQLAlchemy URL; SQLite in data_dir without one.")
    chain: str = Field(
        "auto",
        description="'auto' (anvil when it is installed, else the in-process chain), 'anvil', 'tester', or the URL of a node.",
    )
    deployment: Path | None = Field(
        None,
        description="Manifest of the market to serve, as `wattproof contracts deploy` writes it. Without one a development "
        "chain gets a market of its own.",
    )
    operator_key: SecretStr | None = Field(
        None, description="Private key of the operator of the manifest's market; it pays for gas as well."
    )
    metering_key: SecretStr | None = Field(
        None, description="Private key of the metering role; without it meters are bound elsewhere."
    )
    guardian_key: SecretStr | None = Field(None, description="Private key of the guardian; without it it decides elsewhere.")
    relayer_key: SecretStr | None = Field(
        None, description="Private key that carries members' orders to the chain; the operator's without one. It holds no role."
    )
    operator_token: SecretStr | None = Field(
        None, description="Bearer token of operator endpoints; made and kept in data_dir without one."
    )
    guardian_token: SecretStr | None = Field(
        None, description="Bearer token of the guardian's endpoints; made and kept in data_dir without one."
    )
    zk_key: str = Field(
        "development",
        description="Name of the key that proofs are made with and new deployments get; other names must have been imported "
        "(wattproof zk import). Chains that are not development chains refuse the development key.",
    )
    proof_sizes: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], NoDecode] = Field(
        (1, 10),
        min_length=1,
        description="Numbers of accounts that a proof may be for, separated by commas: new deployments get a circuit for each.",
    )
    proof_workers: int = Field(1, ge=1, le=64, description="Processes that prove; the native prover uses all cores in each.")
    proof_timeout_s: float = Field(120.0, gt=0, description="A proof that takes longer is given up, a batch is then split.")

    fee_ppm: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Part of what sellers earn, parts per million, that new sessions take unless told else.",
    )
    fee_account: int = Field(0, ge=0, lt=2**32, description="The account that this fee goes to.")
    intake_fee: int = Field(
        0, ge=0, le=1_000_000, description="What an entry of the order log costs in new sessions unless told else, micro-euro."
    )
    clearing_account: int = Field(
        0, ge=0, lt=2**32, description="The account that intake fees go to for the clearings of this process; 0 for nobody's."
    )
    clearing_gas: int = Field(
        GAS_A_CALL, ge=1_000_000, description="Gas that one transaction of a clearing may take; a long log takes several."
    )

    block_account: int = Field(
        0,
        ge=0,
        lt=2**32,
        description="The operator's account that locks the bonds of its proposals for block sessions; with 0 this process "
        "proposes nothing, and accepts the best of others.",
    )
    block_seconds: float = Field(
        45.0, gt=0, le=3600, description="Seconds that the search for a proposal may take, twice where prices leave the band."
    )
    block_gap: float = Field(1e-4, ge=0, lt=1, description="Relative gap at which a proposal counts as the best there is.")

    replace_failing: bool = Field(
        True, description="Whether reserves take over, cheapest first, as soon as a member's records show that it fails."
    )
    surveillance_loads: bool = Field(
        False,
        description="Whether the surveillance may use the readings that this process holds (docs/surveillance.md); "
        "without them it does not look for shaped baselines.",
    )
    surveillance_seconds: float = Field(
        20.0,
        gt=0,
        le=3600,
        description="Seconds that looking at a session may take; what was not looked at by then is said in notices. Once a "
        "round has taken as long, further sessions wait for the next.",
    )

    @field_validator("proof_sizes", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not parts or not all(re.fullmatch("[0-9]{1,9}", part) for part in parts):
            raise ValueError("expected numbers of accounts separated by commas, as 1,10")
        return tuple(int(part) for part in parts)

    @property
    def url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'wattproof.sqlite'}"

    @property
    def chain_state(self) -> Path:
        """Where a chain that this process starts is kept between starts."""
        return self.data_dir / "chain.json"

    @property
    def frontend(self) -> Path:
        """The built pages."""
        return ROOT / "frontend" / "dist"


def complaint(error: ValidationError) -> str:
    """What is wrong with which setting, by the name of its variable; never what a secret was set to."""
    lines = []
    for found in error.errors():
        name = str(found["loc"][0]) if found["loc"] else ""
        field = Settings.model_fields.get(name)
        secret = field is None or "SecretStr" in str(field.annotation)
        said = found["msg"].removeprefix("Value error, ")
        lines.append(f"WATTPROOF_{name.upper()}: {said}" + ("" if secret else f", got {str(found['input'])[:120]!r}"))
    return "\n".join(["The settings cannot be used.", *lines])
