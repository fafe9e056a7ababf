"""Alembic, called from code: the schema is always brought to the newest revision before anything reads it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Brings the database at `url` to the newest schema."""
    command.upgrade(_config(url), "head")


def keep_copy(url: str, mark: str) -> Path | None:
    """A copy of an SQLite database beside it, before it is emptied: readings and windows cannot be had again from the chain.

    None for other databases, which their own tools back up.
    """
    if not url.startswith("sqlite:///"):
        return None
    path = Path(url.removeprefix("sqlite:///"))
    copy = path.with_name(f"{path.stem}-{mark}{path.suffix}")
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.chmod(0o600)
    return copy


def reset(url: str) -> None:
    """Empties the database at `url`: all tables gone and made again."""
    command.downgrade(_config(url), "base")
    command.upgrade(_config(url), "head")


def revision(url: str, message: str) -> None:
    """Writes a new revision from the difference between tables and database."""
    command.revision(_config(url), message=message, autogenerate=True)
