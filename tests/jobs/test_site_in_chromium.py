"""The pages of a site as a browser sees them, opened from the disk, without any server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.chromium import CHROMIUM, Opened
from tests.making.hostile import TEXTS
from tests.making.sites import TALKED, hostile_store, rows_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    store = hostile_store(root / "store")
    store.traces.generate_arithmetic(kinds=["addition"], n_digits=3, n=10_000, seed=1)
    store.build_site(root / "site", title="Sums")
    return root / "site"


def test_ten_thousand_traces_are_few_files_and_small_parts(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.is_file()]
    assert len(files) < 320
    assert sum(path.stat().st_size for path in files) < 6_000_000
    assert max(path.stat().st_size for path in site.glob("data/*.js")) < 400_000


def find_row(site: Path, text: str) -> list[object]:
    return next(
        row for path in site.glob("data/traces-*.js") for row in rows_of(path) if row[2] == text
    )


def test_no_page_has_anything_to_complain_of(site: Path, tmp_path: Path) -> None:
    names = ["index.html", "runs.html", "traces.html"]
    names += [next(site.glob(f"{kind}/*.html")).relative_to(site).as_posix() for kind in (
        "runs", "compare", "datasets", "evalsets"
    )]  # fmt: skip
    for i, name in enumerate(names):
        assert Opened(site, name, tmp_path / str(i)).console == []


def test_a_search_finds_what_its_words_ask_for(site: Path, tmp_path: Path) -> None:
    page = Opened(site, "traces.html?q=owned+h1", tmp_path / "a")
    assert page.console == []
    assert page.text("count").startswith("1 found.")
    assert page.html.count("<li>") == 1
    assert "&lt;/details&gt;&lt;<mark>h1</mark>&gt;" in page.html
    nothing = Opened(site, "traces.html?q=nothing+of+the+kind", tmp_path / "b")
    assert nothing.text("count").startswith("0 found.")
    whole = Opened(site, "traces.html", tmp_path / "c")
    assert whole.html.count("<li>") == 50
    n_traces = 8 + len(TEXTS) + len(TALKED) + 10_000
    assert f"{n_traces:,} traces, in the order of the log." in whole.text("count")
    assert re.search(r'id="more"[^>]*>Show more', whole.html)
    assert "hidden" not in re.findall(r"<button[^>]*more[^>]*>", whole.html)[0]
    last = find_row(site, rows_of(max(site.glob("data/index-*.js")))[-1][2])  # type: ignore[arg-type]
    by_id = Opened(site, f"traces.html?q=sha256:{last[0]}", tmp_path / "d")
    assert by_id.text("count").startswith("1 found.")


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[2], "{{ template }} {% raw %}"])
def test_a_hostile_trace_is_shown_as_text(site: Path, tmp_path: Path, text: str) -> None:
    row = find_row(site, text)
    page = Opened(site, f"trace.html?id={row[0]}", tmp_path / "a")
    assert page.console == []
    shown = page.text("trace")
    assert shown.count(text) >= 4
    assert f"sha256:{row[0]}" in shown
    body = page.html.partition("<main")[2]
    assert not re.search(r"<script|<img|onerror=\"", body)
    assert f'name="a" id="a" value="{row[0]}"' in page.html or str(row[0]) in page.html


@pytest.mark.parametrize("text", [TALKED[0], TALKED[-1]])
def test_a_hostile_conversation_is_shown_turn_by_turn(
    site: Path, tmp_path: Path, text: str
) -> None:
    row = find_row(site, f"{text}\nAgain.")
    page = Opened(site, f"trace.html?id={row[0]}", tmp_path / "a")
    assert page.console == []
    shown = page.text("trace")
    for label in ("system", "user ", "assistant reasoning", "assistant calls ", "tool "):
        assert label in shown
    assert "assistant, masked" in shown
    assert shown.count(text) >= 8
    assert not re.search(r"<script|<img|onerror=\"", page.html.partition("<main")[2])


def test_a_conversation_is_compared_with_a_trace_turn_by_turn(site: Path, tmp_path: Path) -> None:
    a, b = (str(find_row(site, text)[0]) for text in (TEXTS[0], f"{TEXTS[0]}\nAgain."))
    page = Opened(site, f"diff.html?a={a}&b={b}", tmp_path / "a")
    assert page.console == []
    assert "Conversation" in page.text("diff")
    assert f"assistant reasoning: {TEXTS[0]}" in page.text("diff")
    same = Opened(site, f"diff.html?a={b}&b={b}", tmp_path / "b")
    assert 'class="gone"' not in same.html


def test_two_traces_are_compared_step_by_step(site: Path, tmp_path: Path) -> None:
    a, b = (str(find_row(site, text)[0]) for text in TEXTS[:2])
    page = Opened(site, f"diff.html?a={a[:12]}&b=sha256:{b}", tmp_path / "a")
    assert page.console == []
    shown = page.text("diff")
    assert "The prompts are different, the answers are different; 0 of 1 and 1 steps" in shown
    assert page.html.count('class="gone"') == 3
    assert page.html.count('class="came"') == 3
    same = Opened(site, f"diff.html?a={a}&b={a}", tmp_path / "b")
    assert "The prompts are the same, the answers are the same; 1 of 1" in same.text("diff")
    assert 'class="gone"' not in same.html


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("trace.html", "is no trace id: give at least 6 hex digits."),
        ("trace.html?id=<script>", "is no trace id: give at least 6 hex digits."),
        ("trace.html?id=" + "ab" * 32, "It may have been redacted."),
        ("diff.html?a=abcdef&b=fedcba", "There is no trace abcdef on this site."),
    ],
)
def test_an_id_that_leads_nowhere_gets_a_sentence(
    site: Path, tmp_path: Path, address: str, sentence: str
) -> None:
    page = Opened(site, address, tmp_path / "a")
    assert page.console == []
    assert 'role="alert"' in page.html
    assert sentence in page.text("main")


def test_a_script_that_got_into_a_page_would_not_run(site: Path, tmp_path: Path) -> None:
    """The second line of defence, and the proof that these tests hear the console."""
    page = site / "index.html"
    original = page.read_text(encoding="utf-8")
    page.write_text(
        original.replace("<footer>", "<footer><script>document.title = 'owned'</script>"),
        encoding="utf-8",
    )
    try:
        opened = Opened(site, "index.html", tmp_path / "a")
    finally:
        page.write_text(original, encoding="utf-8")
    assert "<title>Sums</title>" in opened.html
    assert any("Content Security Policy" in line for line in opened.console)
