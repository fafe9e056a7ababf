"""Records as the chain keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.deliveries import Entry
from contracts.units import Direction
from settlement.records import BATCH_HEAD, Record, RecordError, delivered, joinings, record_of, records_of, supply

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


def test_batches_become_records_and_supply() -> None:
    one, two, three = record_of({3: 5}, 24), record_of({4: 6}, 24), record_of({3: 7, 4: 8}, 24)
    first = (Entry(7, 5, one.mask, one.words), Entry(9, 6, three.mask, three.words))
    second = (Entry(8, 4, three.mask, three.words),)
    third = (Entry(8, 4, 1 << 9, record_of({9: 1}, 24).words), Entry(7, 5, two.mask, two.words))
    batches = [first, second, third]
    assert records_of(batches)[7] == [one, two] and records_of([]) == {}
    words, picks = supply(batches, [9, 5, 7])
    # the second batch holds nothing of theirs: the third takes its number
    assert words == [[w for e in batch for w in e.words()] for batch in (first, third)]
    assert picks == [1 | (0 | 1 << 16) << 32 | 0 << 64 | 2 << 96 | (0 | 0 << 16) << 128 | (1 | 1 << 16) << 160]
    assert supply(batches, []) == ([], []) and supply(batches, [1] * 9) == ([], [0, 0])


@given(st.data(), st.integers(1, 24), st.integers(1, 60))
def test_joined_records_are_the_same_in_fewer_words(data: st.DataObject, records: int, most: int) -> None:
    """Account 7's hours stand in as many batches, each beside other accounts' records."""
    hours = data.draw(st.permutations(range(24)))[:records]
    values = {t: data.draw(st.integers(-(1 << 25), (1 << 25) - 1)) for t in hours}
    batches = []
    for t in hours:
        mine, other = record_of({t: values[t]}, 24), record_of({t: 1}, 24)
        batch = [Entry(8 + k, 5, other.mask, other.words) for k in range(data.draw(st.integers(0, 3)))]
        batch.insert(data.draw(st.integers(0, len(batch))), Entry(7, 5, mine.mask, mine.words))
        batches.append(tuple(batch))
    proven = set(batches)
    steps, left = joinings(batches, 7, most)
    for step in steps:
        assert proven.issuperset(step.batches) and len(step.picks) >= 2
        assert all(step.batches[batch][entry].account == 7 for batch, entry in step.picks)
        proven.add((step.entry,))
    assert proven.issuperset(left)
    size = sum(BATCH_HEAD + sum(len(entry.words()) for entry in batch) for batch in left)
    assert size <= most or len(left) == 1
    assert delivered(records_of(left)[7], Direction.UP, 24) == values
    assert bool(steps) == (sum(BATCH_HEAD + 4 * len(batch) for batch in batches) > most and records > 1)
