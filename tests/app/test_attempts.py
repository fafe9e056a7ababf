"""The demonstration's attacks count as refused only where the refusal is the one that has to come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.client import ApiError
from app.demo import attempts
from contracts.calls import Call
from contracts.refusals import ContractRefusal

CALL = Call("0x" + "00" * 20, b"")
LONG = "the window of day 1 hashes to " + "7" * 77 + ", its head says " + "8" * 77


class Refusing:
    """An API and a contract client that answer with `error`, or take everything."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def post(self, path: str, body: object) -> None:
        assert path == "/windows"
        if self.error:
            raise self.error

    def simulate(self, sender: str, call: Call) -> None:
        if self.error:
            raise self.error


def problem(status: int, *fields: str) -> ApiError:
    errors = [{"field": field, "expected": LONG, "got": "day 1"} for field in fields]
    return ApiError(status, {"detail": "The window does not verify.", "errors": errors})


def tampered(error: Exception | None) -> list[dict[str, Any]]:
    window = SimpleNamespace(to_record=lambda: {"readings": [1000] * 24})
    meter = SimpleNamespace(windows=lambda first, last: [window])
    silent = SimpleNamespace(home=SimpleNamespace(silent=True), meter=meter, account=1)
    api: Any = Refusing(error)
    community: Any = SimpleNamespace(homes=[silent])
    return attempts.at_metering(api, community, 1)


def called(error: Exception | None) -> dict[str, Any]:
    ctx: Any = SimpleNamespace(client=Refusing(error), address=lambda role: "0x" + "00" * 20)
    return attempts._refused(ctx, "a late order", "WrongState", CALL)


def test_a_window_that_does_not_verify_is_refused_by_the_marketplace() -> None:
    (answer,) = tampered(problem(422, "[0].window.head"))
    assert answer["by"] == attempts.MARKETPLACE
    assert answer["answer"].startswith("422 The window does not verify.")
    assert LONG in answer["answer"], "no number is cut"


@pytest.mark.parametrize(
    "error", [problem(500), problem(404, "account"), problem(429, "[0].window.head"), problem(422, "account")]
)
def test_another_answer_of_the_marketplace_is_no_refusal(error: ApiError) -> None:
    with pytest.raises(attempts.NotRefusedError, match=f"expected .*422.*got .*{error.status}"):
        tampered(error)


def test_what_the_contract_refuses_is_told_with_its_error() -> None:
    answer = called(ContractRefusal("WrongState", {}, "session 1 is Closed, expected Open"))
    assert answer["by"] == attempts.CONTRACT
    assert answer["answer"] == "WrongState: session 1 is Closed, expected Open"


@pytest.mark.parametrize("name", ["Panic", "OutOfGas", "UnknownSession"])
def test_another_error_of_the_contract_is_no_refusal(name: str) -> None:
    with pytest.raises(attempts.NotRefusedError, match=f"a late order: expected .*WrongState, got {name}"):
        called(ContractRefusal(name, {}, "something else"))


def test_what_is_taken_ends_the_demonstration() -> None:
    with pytest.raises(attempts.NotRefusedError, match="the marketplace took it"):
        tampered(None)
    with pytest.raises(attempts.NotRefusedError, match="the contract took it"):
        called(None)
