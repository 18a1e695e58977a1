from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunixrt.traces import id_set
from tunixrt.traces.id_set import IdSet

if TYPE_CHECKING:
    import pytest


def _id(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(1, 10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_is_a_set_however_often_it_spills(
    monkeypatch: pytest.MonkeyPatch, numbers: list[int], n_in_memory: int
) -> None:
    monkeypatch.setattr(id_set, "IDS_IN_MEMORY", n_in_memory)
    reference: set[int] = set()
    with IdSet() as ids:
        for number in numbers:
            assert ids.add(_id(number)) == (number not in reference)
            reference.add(number)
        assert {number for number in range(41) if _id(number) in ids} == reference


def test_ids_that_share_their_first_bits_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_set, "IDS_IN_MEMORY", 1)
    with IdSet() as ids:
        assert ids.add(bytes(32))
        assert bytes(31) + b"\x01" not in ids
        assert ids.add(bytes(31) + b"\x01")
        assert not ids.add(bytes(32))
