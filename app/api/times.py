"""Unix seconds of the chain and aware datetimes of the API."""

from __future__ import annotations

from datetime import UTC, datetime

from app.errors import Refused


def at(seconds: int) -> datetime:
    """Unix seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(field: str, value: datetime) -> int:
    """An aware datetime as Unix seconds; a naive one is refused."""
    if value.tzinfo is None:
        raise Refused(
            "A time needs its offset.", field=field, expected="an ISO 8601 time with Z or an offset", got=value.isoformat()
        )
    found = int(value.timestamp())
    if not 0 <= found < 1 << 40:
        raise Refused(
            "A time is out of range.", field=field, expected="a time from 1970 to the year 36812", got=value.isoformat()
        )
    return found
