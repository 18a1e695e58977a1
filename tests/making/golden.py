"""A segment and a snapshot as docs/format.md shows them."""

from __future__ import annotations

# The same segment stands in docs/format.md, and tests/log/test_format_page.py reads it there.
GOLDEN_PART = (
    b'{"payload":"sha256:6a4346ded4b1c66a7f0dfd029d0cda103a4b24570829353aa98a6e60d0013402",'
    b'"type":"trace.recorded"}\n'
    b'{"final_answer":"42","meta":{},"prompt":"What is 15 + 27?",'
    b'"steps":[{"content":"Add","i":0,"type":"compute"}],"trace_version":"1.0"}\n'
    b'{"payload":"sha256:09a0eda428ca50d9a755a8d71b6c30cbc7a2e0a1e14eaba4303e388606c1e94f",'
    b'"recorded_at":"2026-01-31T12:00:00Z",'
    b'"trace":"sha256:6a4346ded4b1c66a7f0dfd029d0cda103a4b24570829353aa98a6e60d0013402",'
    b'"type":"trace.labelled"}\n'
    b'{"label":"quality","value":"good"}\n'
    b'{"trace":"sha256:6a4346ded4b1c66a7f0dfd029d0cda103a4b24570829353aa98a6e60d0013402",'
    b'"type":"trace.retracted"}\n'
    b"null\n"
)
GOLDEN_HEADER = (
    b'{"canonicalisation":"rfc8785","format":"tunixrt-segment-1","lamport":1,"n_events":3,'
    b'"parents":["sha256:0000000000000000000000000000000000000000000000000000000000000000"],'
    b'"parts":[{"n_events":3,"name":"0000.jsonl",'
    b'"root":"sha256:d4441105bdb779f94db97dff0117552a3e6a26d88392e90e3cc85e512c3443ae"}],'
    b'"root":"sha256:d4441105bdb779f94db97dff0117552a3e6a26d88392e90e3cc85e512c3443ae"}'
)
GOLDEN_NAME = "8038ff072af29cc02db61c2251fcf701835470095c918fb4732a78358e5c69ba"

GOLDEN_SNAPSHOT = (
    b'{"format":"tunixrt-snapshot-1","n_events":3,"n_segments":2,"n_traces":2,'
    b'"root":"sha256:8ab671c69294e69917042ed794e5ea9dda18710ca307a65b986226344b87552a",'
    b'"segments":["sha256:0000000000000000000000000000000000000000000000000000000000000000",'
    b'"sha256:1111111111111111111111111111111111111111111111111111111111111111"]}'
)
GOLDEN_SNAPSHOT_NAME = "a16812a3f07dd8a00f5175420cd01ff4963848a4ca72e8115cd8df133126d005"
