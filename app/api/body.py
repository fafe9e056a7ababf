"""JSON bodies as they are read: a name that stands twice, NaN and whatever else is no JSON is refused, and it is said where."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app.errors import FieldError

EXPECTED = "JSON in UTF-8"


class BodyError(HTTPException):
    """A body that is no JSON. The framework lets exceptions of this kind through while it reads a body."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(422, "The body of the request cannot be read.")
        self.error = FieldError("body", expected, got)


class _Given(Request):
    async def json(self) -> Any:
        return parse(await self.body())


class JsonRoute(APIRoute):
    """A route whose JSON body is read by `parse`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(_Given(request.scope, request.receive))

        return handler


def parse(body: bytes) -> Any:
    """The value of a JSON body; raises `BodyError`."""
    try:
        return json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise BodyError(EXPECTED, f"a byte {error.object[error.start]:#04x} at {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BodyError(EXPECTED, f"something else at {where}: {error.msg}") from None
    except RecursionError:
        raise BodyError(EXPECTED, "lists or objects nested too deep") from None
    except ValueError:  # the interpreter reads no integer of more than 4300 digits
        raise BodyError("numbers of at most 4300 digits", "a longer one") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BodyError("each name once in an object", f"{twice[:60]!r} twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise BodyError("numbers that are finite", name)
