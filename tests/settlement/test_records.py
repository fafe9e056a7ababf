"""Records as the chain keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.encoding import hash_words
from contracts.units import Direction
from settlement.records import Record, RecordError, delivered, record_hash, record_of, records_words

DEVIATIONS = st.dictionaries(st.integers(0, 95), st.integers(-(1 << 25), (1 << 25) - 1), max_size=20)


@given(DEVIATIONS)
def test_deviations_read_back(deviations: dict[int, int]) -> None:
    record = record_of(deviations, 96)
    assert record.mask == sum(1 << t for t in deviations)
    assert len(record.words) == 11
    assert record.deviations(96) == dict(sorted(deviations.items()))
    assert delivered([record], Direction.DOWN, 96) == {t: -d for t, d in deviations.items()}


def test_the_layout() -> None:
    record = record_of({0: -1, 10: 300}, 24)
    assert record.words == (2**25 - 1, (2**25 + 300) << 26, 0)


def test_masks_do_not_overlap_and_nothing_lies_outside() -> None:
    one = record_of({3: 5, 4: 6}, 24)
    with pytest.raises(RecordError) as caught:
        delivered([one, record_of({4: 7}, 24)], Direction.UP, 24)
    assert caught.value.field == "mask"
    with pytest.raises(RecordError) as caught:
        Record(1 << 3, one.words).deviations(24)
    assert caught.value.field == "words"
    assert delivered([one, record_of({5: 7}, 24)], Direction.UP, 24) == {3: 5, 4: 6, 5: 7}


def test_hash_and_words_for_the_contract() -> None:
    one, two = record_of({3: 5}, 24), record_of({4: 6}, 24)
    assert record_hash([]) == 0
    first = int.from_bytes(hash_words([0, one.mask, *one.words]), "big") % 2**160
    assert record_hash([one]) == first
    assert record_hash([one, two]) == int.from_bytes(hash_words([first, two.mask, *two.words]), "big") % 2**160
    assert records_words([[one, two], [], [two]]) == [2, one.mask, *one.words, two.mask, *two.words, 0, 1, two.mask, *two.words]
