"""Which proofs a marketplace makes, and by how many processes, as its settings say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.settings import Settings


def test_one_account_and_ten_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIZES", "WORKERS", "TIMEOUT_S"):
        monkeypatch.delenv(f"WATTPROOF_PROOF_{name}", raising=False)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert (settings.proof_sizes, settings.proof_workers, settings.proof_timeout_s) == ((1, 10), 1, 120)


@pytest.mark.parametrize(("text", "sizes"), [("1", (1,)), ("1,10", (1, 10)), (" 32, 1 ", (32, 1)), ("10,", (10,))])
def test_sizes_are_a_list(monkeypatch: pytest.MonkeyPatch, text: str, sizes: tuple[int, ...]) -> None:
    monkeypatch.setenv("WATTPROOF_PROOF_SIZES", text)
    assert Settings(_env_file=None).proof_sizes == sizes  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ["", "0", "65", "1;10", "ten"])
def test_what_is_no_list_of_sizes_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WATTPROOF_PROOF_SIZES", text)
    with pytest.raises(ValidationError, match="proof_sizes"):
        Settings(_env_file=None)  # type: ignore[call-arg]
