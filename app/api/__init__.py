"""The HTTP API: `/api/v1`, problem+json errors, the built pages. Routers translate; the services decide."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from app.api import accounts, development, guardian, metering, operator, problem, replacements, sessions, status, surveillance
from app.context import Context
from app.errors import FieldError

CSP = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)

LARGEST_BODY = 16 << 20
"""Bytes of a request's body, and of a file of readings."""
LARGEST_FILE = 64 << 20

DESCRIPTION = """Flexibility sessions of an energy community: orders, clearing, proven deliveries, settlement.

Energy is integer Wh, prices are integer micro-euro per kWh, money is integer micro-euro, times are UTC. Errors are
`application/problem+json` with the field, what was expected and what came. What the API shows of a session it read from
the chain."""


def create_api(ctx: Context | None = None) -> FastAPI:
    """The application; without a context it can only describe itself."""
    api = FastAPI(
        title="Wattproof",
        version=version("wattproof"),
        description=DESCRIPTION,
        docs_url=None,  # its page would be loaded from elsewhere; openapi.json is read by any tool
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    api.state.ctx = ctx
    problem.install(api)
    parts = (status, sessions, accounts, metering, operator, replacements, guardian, surveillance, development)
    for router in (part.router for part in parts):
        api.include_router(router, prefix="/api/v1")

    @api.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = _too_large(request)
        response = refused if refused is not None else await call_next(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        if request.url.path.startswith("/api/v1/"):
            response.headers["Cache-Control"] = "no-store"
        elif not request.url.path.startswith("/api/"):
            response.headers["Content-Security-Policy"] = CSP
        return response

    if ctx is not None and (ctx.settings.frontend / "index.html").exists():
        api.mount("/", StaticFiles(directory=ctx.settings.frontend, html=True), name="pages")
    return api


def _too_large(request: Request) -> Response | None:
    """A refusal for a body that is too large or does not say how large it is, before any of it is read."""
    if "transfer-encoding" in request.headers:
        return problem.problem(411, "A request says how long its body is.", [FieldError("Content-Length", "a number", "none")])
    length = request.headers.get("content-length", "0")
    limit = LARGEST_FILE if request.url.path == "/api/v1/readings" else LARGEST_BODY
    if not length.isdecimal() or int(length) > limit:
        return problem.problem(
            413, "The request is too large.", [FieldError("Content-Length", f"at most {limit} bytes", length[:30])]
        )
    return None
