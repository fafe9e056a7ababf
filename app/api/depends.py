"""What endpoints depend on: the context, the operator's token, the guardian's."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.context import Context
from app.errors import Refused


def context(request: Request) -> Context:
    """The process's context."""
    ctx = request.app.state.ctx
    assert isinstance(ctx, Context)
    return ctx


Ctx = Annotated[Context, Depends(context)]

_bearer = HTTPBearer(
    auto_error=False, description="The operator's token (data_dir/operator.token, or WATTPROOF_OPERATOR_TOKEN)."
)


_guardian_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="guardian",
    description="The guardian's token (data_dir/guardian.token, or WATTPROOF_GUARDIAN_TOKEN).",
)


def operator(ctx: Ctx, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Refuses whoever does not bring the operator's token."""
    if given is None or not hmac.compare_digest(given.credentials.encode(), ctx.operator_token.encode()):
        raise Refused(
            "This is the operator's.",
            status=401,
            field="Authorization",
            expected="Bearer and the operator's token",
            got="none or another",
        )


def guardian(ctx: Ctx, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_guardian_bearer)]) -> None:
    """Refuses whoever does not bring the guardian's token: the operator is another."""
    if given is None or not hmac.compare_digest(given.credentials.encode(), ctx.guardian_token.encode()):
        raise Refused(
            "This is the guardian's.",
            status=401,
            field="Authorization",
            expected="Bearer and the guardian's token",
            got="none or another",
        )


def operator_or_guardian(
    ctx: Ctx,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    other: Annotated[HTTPAuthorizationCredentials | None, Depends(_guardian_bearer)],
) -> None:
    """Refuses whoever brings neither's token."""
    shown = given or other
    tokens = (ctx.operator_token, ctx.guardian_token)
    if shown is None or not any([hmac.compare_digest(shown.credentials.encode(), token.encode()) for token in tokens]):
        raise Refused(
            "This is the operator's and the guardian's.",
            status=401,
            field="Authorization",
            expected="Bearer and the operator's or the guardian's token",
            got="none or another",
        )


def operator_unless_development(ctx: Ctx, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Off development chains somebody pays for the gas, so that only the operator may have it spent."""
    if not ctx.chain.is_development:
        operator(ctx, given)


OPERATOR = [Depends(operator)]
GUARDIAN = [Depends(guardian)]
OPERATOR_OR_GUARDIAN = [Depends(operator_or_guardian)]
OPERATOR_UNLESS_DEVELOPMENT = [Depends(operator_unless_development)]
