"""JSON from a file, read without trust: every value is taken by name, kind and range, and what is wrong or left over is refused
with its path. Numbers are whole; what is a fraction, not finite or too long is kept as it was written, to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from market.errors import FieldError

MAX_BYTES = 64 << 20
"""Largest file that is read."""

MAX_DEPTH = 16
"""Brackets within brackets; a book needs seven. Python's reader ends the process where a library has raised its limit."""

_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{}]', re.DOTALL)
"""Strings, whole or without end, and brackets."""

_SHOWN = 40


class FileError(FieldError):
    """A file that is not what it has to be."""


class Literal(str):
    """A number that is not whole, not finite or too long, as it was written."""


class Object(dict[str, Any]):
    """An object, and the first name that it has twice."""

    twice: str | None = None


def load(path: Path) -> object:
    """What a file says. Raises `FileError` where it is not JSON, too large or too deep, `OSError` where it cannot be read."""
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FileError("file", f"at most {MAX_BYTES} bytes", "more")
    depth = 0
    for token in _TOKENS.finditer(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise FileError("file", f"at most {MAX_DEPTH} brackets within brackets", "more")

    try:
        return json.loads(
            data.decode(), parse_int=_number, parse_float=Literal, parse_constant=Literal, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        raise FileError("file", "JSON in UTF-8", f"byte {data[error.start]:#04x} at {error.start}") from None
    except json.JSONDecodeError as error:
        raise FileError("file", "JSON", f"{error.msg} in line {error.lineno}, column {error.colno}") from None


def _number(text: str) -> int | Literal:
    return int(text) if len(text) <= _SHOWN else Literal(text)


def _object(pairs: list[tuple[str, Any]]) -> Object:
    made = Object(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                made.twice = name
                break
            seen.add(name)
    return made


def shown(value: object) -> str:
    """What came, short enough for a line; strings quoted, numbers as they were written."""
    if isinstance(value, Literal):
        text = str(value)
    elif isinstance(value, dict | list):
        return f"an {'object' if isinstance(value, dict) else 'array'} of {len(value)}"
    else:
        text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


_REQUIRED = object()


class Fields:
    """An object's fields, taken one after the other; what is left over is refused."""

    def __init__(self, raw: object, path: str) -> None:
        self.path = path
        if not isinstance(raw, Object):
            raise FileError(path or "file", "an object", shown(raw))
        if raw.twice is not None:
            raise FileError(self.at(raw.twice), "once", "twice")
        self.values = raw
        self._left = set(raw)

    def at(self, name: str) -> str:
        """A field's path, for errors."""
        name = name if re.fullmatch(r"\w{1,40}", name) else json.dumps(name[:_SHOWN])
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str, missing: object = _REQUIRED) -> Any:
        """A field as it is; `missing` where there is none."""
        self._left.discard(name)
        found = self.values.get(name, missing)
        if found is _REQUIRED:
            raise FileError(self.at(name), "a value", "nothing")
        return found

    def number(self, name: str, least: int, most: int, missing: object = _REQUIRED) -> int:
        return whole(self.take(name, missing), least, most, self.at(name))

    def array(self, name: str, least: int, most: int, missing: object = _REQUIRED) -> list[Any]:
        return array_of(self.take(name, missing), least, most, self.at(name))

    def flag(self, name: str) -> bool:
        found = self.take(name, False)
        if not isinstance(found, bool):
            raise FileError(self.at(name), "true or false", shown(found))
        return found

    def text(self, name: str) -> str:
        found = self.take(name)
        if not isinstance(found, str) or isinstance(found, Literal) or not 0 < len(found) <= _SHOWN or not found.isprintable():
            raise FileError(self.at(name), f"a name of 1 to {_SHOWN} characters", shown(found))
        return found

    def one_of(self, name: str, known: Mapping[str, Any], missing: object = _REQUIRED) -> Any:
        return choice(self.take(name, missing), known, self.at(name))

    def limits(self, name: str, intervals: int, most: int) -> tuple[int | None, ...]:
        """A limit for each interval, or one for all of them; null is none."""
        found = self.take(name, None)
        if not isinstance(found, list):
            found = [found] * intervals
        raw = array_of(found, intervals, intervals, self.at(name))
        return tuple(None if value is None else whole(value, 0, most, f"{self.at(name)}[{j}]") for j, value in enumerate(raw))

    def done(self) -> None:
        """Raises `FileError` where fields are left over."""
        if self._left:
            raise FileError(self.at(min(self._left)), "no such field", shown(self.values[min(self._left)]))


def whole(value: object, least: int, most: int, path: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise FileError(path, f"a whole number, {least} to {most}", shown(value))
    return value


def array_of(value: object, least: int, most: int, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise FileError(path, "an array", shown(value))
    if not least <= len(value) <= most:
        raise FileError(path, f"{least} to {most} items" if least < most else f"{least} items", len(value))
    return value


def choice(value: object, known: Mapping[str, Any], path: str) -> Any:
    if not isinstance(value, str) or value not in known:
        raise FileError(path, "one of " + ", ".join(known), shown(value))
    return known[value]
