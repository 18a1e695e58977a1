"""Parts that hold nothing but recordings are read at once, with the same answer as line by line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunixrt.log.digests import digest_bytes, raw_of
from tunixrt.log.segment.events import recorded_by, recorded_by_all, recording_line

_good = st.binary(max_size=2).map(lambda data: recording_line(digest_bytes(data)))
_odd = st.one_of(
    _good.map(bytes.upper),
    _good.map(lambda line: line.replace(b"a", b"A")),
    _good.map(lambda line: line[:-1]),
    _good.map(lambda line: line + b" "),
    _good.map(lambda line: line[:30] + line[31:]),
    _good.map(lambda line: line[:30] + b"g" + line[31:]),
    _good.map(lambda line: line.replace(b"trace.recorded", b"trace.retracted")),
    st.tuples(_good, st.integers(0, 80), st.integers(0, 255)).map(
        lambda drawn: drawn[0][: drawn[1]] + bytes([drawn[2]]) + drawn[0][drawn[1] + 1 :]
    ),
    st.binary(max_size=120).map(lambda line: line.replace(b"\n", b"")),
)


@given(lines=st.lists(st.one_of(_good, _good, _good, _odd), max_size=6))
def test_many_lines_are_recordings_if_each_of_them_is_one(lines: list[bytes]) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    each = [recorded_by(line) for line in lines]
    expected = None if None in each else b"".join(raw_of(one) for one in each if one is not None)
    assert recorded_by_all(lines) == expected
