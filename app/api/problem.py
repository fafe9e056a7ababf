"""Errors as `application/problem+json` (RFC 9457), each field with what was expected and what came."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.api.body import BodyError
from app.api.refusal_fields import fields_of
from app.errors import FieldError, Refused, told
from contracts.refusals import ContractRefusal
from market.errors import FieldError as MarketFieldError

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Render every error of `app` as a problem document."""

    @app.exception_handler(Refused)
    def refused(_: Request, error: Refused) -> JSONResponse:
        return problem(error.status, error.detail, error.errors)

    @app.exception_handler(MarketFieldError)
    def market(_: Request, error: MarketFieldError) -> JSONResponse:
        got = error.got if isinstance(error.got, str) else _short(error.got)
        return problem(422, f"{error.field} cannot be taken.", [FieldError(error.field, error.expected, got)])

    @app.exception_handler(ContractRefusal)
    def contract(_: Request, error: ContractRefusal) -> JSONResponse:
        return problem(409, str(error), fields_of(error))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(
            422, "The request does not have the form this endpoint takes.", [_invalid(item) for item in error.errors()]
        )

    @app.exception_handler(BodyError)
    def body(_: Request, error: BodyError) -> JSONResponse:
        return problem(error.status_code, error.detail, [error.error])

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), [], headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed: %s", request.method, request.url.path, told(error))
        return problem(500, "Something went wrong here. Nothing was half stored; the log has the details.", [])


def problem(status: int, detail: str, errors: list[FieldError], headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem document."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"field": e.field, "expected": e.expected, "got": e.got} for e in errors],
    }
    return JSONResponse(body, status_code=status, media_type="application/problem+json", headers=headers)


def _invalid(item: dict[str, Any]) -> FieldError:
    """A field as the request names it; `loc` begins with where in the request it stands."""
    field = ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0])
    match item["type"]:
        case "missing":
            return FieldError(field, "a value", "nothing")
        case "extra_forbidden":
            return FieldError(field, "no field of this name", _short(item["input"]))
    return FieldError(field, item["msg"], _short(item["input"]))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
