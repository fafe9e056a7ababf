"""Alerts of before evidence had a salt: forgotten once, so that they are made anew with one."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from app import migrate
from market.surveillance.evidence import SALT_BYTES, Detector, Finding, evidence_hash, salted, unsalted
from market.surveillance.observed import ObservedError


def test_alerts_without_a_salt_are_made_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'market.sqlite'}"
    command.upgrade(migrate._config(url), "0007")
    engine = sa.create_engine(url)
    with engine.begin() as db:
        tables = {name: sa.Table(name, sa.MetaData(), autoload_with=db) for name in ("alert", "screening", "decision")}
        told = {"session": 1, "hash": "0x11", "detector": "price_score", "severity": "notice", "evidence": {}, "made": 1}
        db.execute(sa.insert(tables["alert"]), [told])
        db.execute(sa.insert(tables["screening"]), [{"session": 1, "facts": "0x22", "made": 1}])
        decided = {"session": 1, "alert": "0x11", "outcome": 0, "reason": "why", "transaction": "0x33"}
        db.execute(sa.insert(tables["decision"]), [decided])
    migrate.upgrade(url)
    with engine.connect() as db:
        counts = {name: db.execute(sa.select(sa.func.count()).select_from(table)).scalar() for name, table in tables.items()}
    engine.dispose()
    assert counts == {"alert": 0, "screening": 0, "decision": 1}, "what the chain has is kept"


def test_a_salt_makes_another_hash_of_the_same_finding() -> None:
    document = Finding(Detector.PRICE_SCORE, 7, (17, 18), figures={"score": 7_000}).document(bytes(32))
    one, other = (salted(document, bytes([n]) * SALT_BYTES) for n in (1, 2))
    assert len({evidence_hash(item) for item in (document, one, other)}) == 3
    assert unsalted(one) == unsalted(other) == document
    with pytest.raises(ObservedError, match="salt"):
        salted(document, b"short")
