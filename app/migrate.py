"""Alembic, called from code: the schema is always brought to the newest revision before anything reads it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import make_url


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Brings the database at `url` to the newest schema. An SQLite file is readable by its owner alone."""
    path = _file(url)
    if path is not None:
        _make_private(path)  # SQLite makes the files beside it with the same mode
    command.upgrade(_config(url), "head")


def keep_copy(url: str, mark: str) -> Path | None:
    """A copy of an SQLite database beside it, before it is emptied: readings and windows cannot be had again from the chain.

    None for other databases, which their own tools back up.
    """
    path = _file(url)
    if path is None:
        return None
    copy = path.with_name(f"{path.stem}-{mark}{path.suffix}")
    _make_private(copy)
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def _file(url: str) -> Path | None:
    """The file of an SQLite database."""
    where = make_url(url)
    named = where.get_backend_name() == "sqlite" and where.database not in (None, "", ":memory:")
    return Path(str(where.database)) if named else None


def _make_private(path: Path) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)  # where there was one


def reset(url: str) -> None:
    """Empties the database at `url`: all tables gone and made again."""
    command.downgrade(_config(url), "base")
    command.upgrade(_config(url), "head")


def revision(url: str, message: str) -> None:
    """Writes a new revision from the difference between tables and database."""
    command.revision(_config(url), message=message, autogenerate=True)
