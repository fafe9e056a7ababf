"""Alembic, called from code: the schema is always brought to the newest revision before anything reads it."""

from __future__ import annotations

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


def reset(url: str) -> None:
    """Empties the database at `url`: all tables gone and made again."""
    command.downgrade(_config(url), "base")
    command.upgrade(_config(url), "head")


def revision(url: str, message: str) -> None:
    """Writes a new revision from the difference between tables and database."""
    command.revision(_config(url), message=message, autogenerate=True)
