"""How times and days are told to people: ISO 8601, as the API takes and gives them."""

from __future__ import annotations

from datetime import UTC, date, datetime

_EPOCH = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - _EPOCH


def utc(seconds: int) -> str:
    """Unix seconds, such as 2017-07-11T12:00:00Z; after the year 9999 their number."""
    if seconds >= (_LAST_DAY + 1) * 86_400:
        return f"second {seconds}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def calendar(day: int) -> str:
    """A day since 1970-01-01, such as 2017-07-11; after the year 9999 its number."""
    return date.fromordinal(_EPOCH + day).isoformat() if day <= _LAST_DAY else f"day {day}"
