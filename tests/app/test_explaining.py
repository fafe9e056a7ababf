"""Explanations in the process: worked out once, one at a time, and no more than a second or two."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from surveillance_scene import bid, offer, session

from app.errors import Refused
from app.services import explaining
from app.services.explaining import Explanations, explained
from market.orders import OrderBook

BOOK = session(1, [*(offer(a, 100, 1_000 * a) for a in range(1, 31)), bid(90, 2_000, 500_000)]).book
LOG = [["0x1"]]


def test_one_is_worked_out_once_whatever_part_of_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[OrderBook] = []
    original = explaining._work_out

    def work_out(book: OrderBook, sold: Mapping[int, int]) -> Any:
        worked.append(book)
        return original(book, sold)

    monkeypatch.setattr(explaining, "_work_out", work_out)
    kept = Explanations()
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda most=m: answers.append(explained(kept, BOOK, LOG, {}, most))) for m in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((len(rows[0].without), left_out) for rows, left_out in answers) == [(m, 31 - m) for m in range(6)]
    assert len(worked) == 1
    for other in (
        (BOOK, [["0x2"]], {}),
        (BOOK, LOG, {1: 3}),
        (OrderBook(BOOK.terms, BOOK.orders, frozenset({next(iter(BOOK.last))})), LOG, {}),
    ):
        explained(kept, *other, 5)
    assert len(worked) == 4, "another log, other sales before and other excluded orders are another explanation"


def test_work_is_bounded_and_what_is_left_out_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "WORK", 7 * len(BOOK.orders) * len(BOOK.terms.intervals))
    rows, left_out = explained(Explanations(), BOOK, LOG, {}, 200)
    assert (len(rows[0].without), left_out) == (7, 24)
    monkeypatch.setattr(explaining, "WORK", 1)
    rows, left_out = explained(Explanations(), BOOK, LOG, {}, 200)
    assert (len(rows[0].without), left_out) == (0, 31) and rows[0].marginal


def test_only_the_latest_are_kept() -> None:
    kept = Explanations()
    for number in range(explaining.KEPT + 5):
        kept.put(number.to_bytes(2), ((), 0))
        kept.get((0).to_bytes(2))
    assert len(kept.found) == explaining.KEPT and kept.get((0).to_bytes(2)) is not None


def test_who_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "WAIT_S", 0.01)
    kept = Explanations()
    with kept.working, pytest.raises(Refused) as caught:
        explained(kept, BOOK, LOG, {}, 1)
    assert caught.value.status == 503
