"""A static site: every page whole, every link good, every string text, the same bytes each time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.making.conversations import conversation
from tests.making.files import tree
from tests.making.hostile import TEXTS
from tests.making.runs import made_evaluation, made_store, made_training
from tests.making.sites import TALKED, hostile_store, rows_of
from tests.making.traces import trace
from tests.report.page_rules import problems
from tunixrt import Store
from tunixrt.log.outputs import OutputPathError
from tunixrt.report.site.traces import TraceFiles, n_shard_digits, script_json
from tunixrt.traces.facts import labelled, redacted, retracted, superseded

#: Elements that have no end tag.
VOID = {"meta", "link", "input", "br", "hr", "img"}
SVG_EMPTY = {"line", "circle", "rect", "polyline", "path"}


class Page(HTMLParser):
    """What a page holds, and whether its elements are nested as they should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self._stack: list[str] = []
        self.problems: list[str] = []
        self.feed(text)
        self.close()
        self.problems += self._stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if len({name for name, _ in attrs}) != len(attrs):
            self.problems.append(f"{tag} has an attribute twice")
        if tag not in VOID:
            self._stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in SVG_EMPTY:
            self.problems.append(f"{tag} closes itself")

    def handle_endtag(self, tag: str) -> None:
        if not self._stack or self._stack.pop() != tag:
            self.problems.append(f"stray end of {tag}")

    def values(self, tag: str, name: str) -> list[str]:
        return [value or "" for t, n, value in self.attributes if (t, n) == (tag, name)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    store = hostile_store(root / "store")
    store.build_site(root / "site", title="Sums & <steps>")
    return root / "site"


def pages_of(site: Path) -> dict[str, Page]:
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }


def test_every_page_is_whole_and_reaches_nothing_outside(built: Path) -> None:
    pages = pages_of(built)
    assert len(pages) == 7 + 5 + 2 + 2 + 1
    for name, page in pages.items():
        assert page.problems == [], name
        assert problems((built / name).read_text(encoding="utf-8")) == [], name
        assert not {n for _, n, _ in page.attributes if n.startswith("on") or n == "style"}, name
        assert page.tags["script"] == (name in {"traces.html", "trace.html", "diff.html"}), name
        assert not {"img", "iframe", "style", "base", "object"} & set(page.tags), name
        policy = page.values("meta", "content")[0]
        assert policy.startswith("default-src 'none'; "), name
    for path in built.rglob("*"):
        if path.suffix in {".css", ".js"} and path.parent == built:
            assert not re.search(r"https?://|@import|url\(|eval\(|innerHTML", path.read_text())


def test_every_link_leads_to_a_page_of_the_site(built: Path) -> None:
    n_links = 0
    for name, page in pages_of(built).items():
        targets = page.values("a", "href") + page.values("link", "href")
        for target in targets + page.values("script", "src") + page.values("form", "action"):
            if target.startswith("#"):
                assert target[1:] in [v for _, a, v in page.attributes if a == "id"]
                continue
            path = (built / name).parent / unquote(target.partition("?")[0])
            assert path.is_file(), (name, target)
            n_links += 1
    assert n_links > 100


def test_everything_that_can_be_used_is_reached_and_named(built: Path) -> None:
    for name, page in pages_of(built).items():
        html = (built / name).read_text(encoding="utf-8")
        assert '<html lang="en">' in html
        assert '<a class="skip" href="#main">' in html
        assert html.count("aria-current") == 1, name
        # What scrolls is reached by keyboard and has a name.
        for region in re.findall(r'<div class="scroll"[^>]*>', html):
            assert 'tabindex="0"' in region
            assert 'aria-label="' in region
        assert len(re.findall(r"<label[^>]*>[^<]+<(?:input|select)", html)) == (
            page.tags["input"] + page.tags["select"] - html.count('type="hidden"')
        )


def test_data_files_hold_every_trace_once_where_its_id_says(built: Path) -> None:
    index = [row for path in sorted(built.glob("data/index-*.js")) for row in rows_of(path)]
    shards = {path.stem: rows_of(path) for path in built.glob("data/traces-*.js")}
    assert len(shards) == 16
    names = [str(row[0]) for rows in shards.values() for row in rows]
    assert sorted(name[:16] for name in names) == sorted(str(row[0]) for row in index)
    assert len(set(names)) == 8 + len(TEXTS) + len(TALKED)
    for shard, rows in shards.items():
        assert all(str(row[0]).startswith(shard.removeprefix("traces-")) for row in rows)
    # No text of a trace can end the script that it stands in.
    assert b"<" not in b"".join(p.read_bytes() for p in built.glob("data/*.js"))


def test_a_conversation_has_its_flat_view_and_its_texts_with_their_authors(tmp_path: Path) -> None:
    with TraceFiles(tmp_path, 2) as files:
        files.add(f"sha256:{'0' * 64}", "active", conversation())
        files.add(f"sha256:{'1' * 64}", "active", trace())
    ((_, _, prompt, answer, n_steps, source), plain) = rows_of(tmp_path / "index-0.js")
    assert (prompt, answer, n_steps, source) == ("How far is 3 miles in km?", "4.8 km", 2, "chat")
    (row,) = rows_of(tmp_path / "traces-0.js")
    assert row[4] == [["reason", "1 mile is 1.609 km."], ["reason", "3 * 1.609 = 4.828"]]
    assert row[6] == [
        ["system", "Be brief.", 1],
        ["user", "How far is 3 miles in km?", 2],
        ["assistant reasoning", "1 mile is 1.609 km.\n3 * 1.609 = 4.828", 3],
        ["assistant calls multiply (c1)", '{"a":3,"b":1.609}', 3],
        ["tool (c1)", "4.827", 4],
        ["assistant", "About 4.8 km.", 5],
    ]
    assert len(plain) == len(rows_of(tmp_path / "traces-1.js")[0]) == 6


def test_json_in_a_script_is_the_same_value_and_plain() -> None:
    value = ["</script><!--", "\u2028\u2029", "ä", {"a": [1, None]}]
    text = script_json(value)
    assert json.loads(text) == value
    assert not {"<", "\u2028", "\u2029"} & set(text)


def test_the_index_is_cut_into_parts_of_a_thousand(tmp_path: Path) -> None:
    assert (n_shard_digits(1000), n_shard_digits(1001)) == (1, 2)
    with TraceFiles(tmp_path, 2500) as files:
        for i in range(2500):
            files.add(f"sha256:{i % 256:02x}{i:062x}", "active", trace(f"{i}?"))
    parts = sorted(tmp_path.glob("index-*.js"))
    assert [len(rows_of(path)) for path in parts] == [1000, 1000, 500]
    assert len(list(tmp_path.glob("traces-*.js"))) == 256


SCRIPT = """
import sys
from pathlib import Path
from tunixrt import Store
Store.open(Path(sys.argv[1])).build_site(Path(sys.argv[2]), title="Sums & <steps>")
"""


def test_other_processes_at_other_places_write_the_same_bytes(built: Path, tmp_path: Path) -> None:
    store = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", str(built.parent / "store"), str(store)], check=True)
    environment = os.environ | {
        "PYTHONHASHSEED": "4711",
        "TZ": "Pacific/Kiritimati",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(store), str(tmp_path / "site")],
        env=environment,
        check=True,
    )
    assert tree(tmp_path / "site") == tree(built)


def test_the_pages_say_what_there_is(built: Path) -> None:
    index = (built / "index.html").read_text(encoding="utf-8")
    assert "<h1>Sums &amp; &lt;steps&gt;</h1>" in index
    assert ">baseline<" in index
    runs = (built / "runs.html").read_text(encoding="utf-8")
    assert "released" in runs
    assert runs.count('href="compare/') == 1
    compare = next(built.glob("compare/*.html")).read_text(encoding="utf-8")
    assert 'class="verdict good"' in compare
    run = next(p.read_text() for p in built.glob("runs/*.html") if "Reproduce it" in p.read_text())
    assert "tunixrt eval" in run
    trained = next(p.read_text() for p in built.glob("runs/*.html") if "# Train" in p.read_text())
    # The configuration is that of the preset: nothing has to be set.
    assert "\ntunixrt train nano --dataset sums-v1\n" in trained
    rough = (built / "evalsets" / "rough.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in rough
    dataset = next(built.glob("datasets/hostile-v1-*.html")).read_text(encoding="utf-8")
    assert "sums-v1" in dataset


def test_a_redacted_trace_is_gone_after_building_again(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store", n=12)
    states = list(store.traces.projection().traces())
    for i, state in enumerate(states[:4]):
        store.log.append(
            [
                redacted(state.id),
                retracted(state.id),
                superseded(state.id, states[9].id),
                labelled(state.id, "quality", "good"),
            ][i : i + 1]
        )
    secret = store.traces[states[4].id].flat.prompt
    site = tmp_path / "site"
    built = store.build_site(site, title="Sums")
    assert built.n_traces == 11
    assert f'"{secret}"' in "".join(p.read_text() for p in site.glob("data/*.js"))
    stray = site / "data" / "old.js"
    stray.write_text("of another version")
    manifest = json.loads((site / "site.json").read_text())
    manifest["files"].append("data/old.js")
    (site / "site.json").write_text(json.dumps(manifest))
    store.log.append([redacted(states[4].id)])
    assert store.build_site(site, title="Sums").n_traces == 10
    assert f'"{secret}"' not in "".join(p.read_text() for p in site.glob("data/*.js"))
    assert not stray.exists()
    rows = [row for path in site.glob("data/index-*.js") for row in rows_of(path)]
    assert Counter(row[1] for row in rows) == {"active": 8, "retracted": 1, "superseded": 1}
    assert "2 redacted ones are not included" in (site / "traces.html").read_text()
    assert not site.with_name("site.partial").exists()


def test_an_empty_store_has_a_site(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store = Store.init(tmp_path / "store")
    built = store.build_site(
        tmp_path / "new" / "site", on_progress=lambda a, b: seen.append((a, b))
    )
    assert (built.n_traces, built.n_pages) == (0, 7)
    text = (tmp_path / "new" / "site" / "index.html").read_text()
    assert "No evaluation yet" in text
    assert "None yet" in text
    assert seen == []


@pytest.mark.parametrize("what", ["a file", "a directory with other things"])
def test_nothing_else_is_ever_replaced(tmp_path: Path, what: str) -> None:
    store = made_store(tmp_path / "store")
    target = tmp_path / "thesis"
    if what == "a file":
        target.write_text("important")
    else:
        target.mkdir()
        (target / "thesis.tex").write_text("important")
    before = tree(tmp_path)
    with pytest.raises(OutputPathError, match=r"was not made by|is not a directory"):
        store.build_site(target)
    assert tree(tmp_path) == before


def test_more_than_eight_evaluations_are_compared_with_the_baseline(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store", n=8, n_samples=10)
    runs = [made_evaluation(store, made_training(store, seed=i), n_right=i) for i in range(9)]
    site = tmp_path / "site"
    store.build_site(site)
    assert len(list(site.glob("compare/*.html"))) == 8
    store.runs.promote(runs[4].run_id, "baseline")
    store.build_site(site)
    names = [path.name for path in site.glob("compare/*.html")]
    assert len(names) == 8
    assert all(name.startswith(runs[4].run_id[:16]) for name in names)


def test_what_needs_a_decision_stands_on_the_first_page(tmp_path: Path) -> None:
    stores = []
    for name, limit in (("a", 3), ("b", 4)):
        store = Store.init(tmp_path / name)
        store.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=6, seed=0)
        first = next(iter(store.traces.projection().traces())).id
        store.log.append([labelled(first, "quality", name)])
        store.datasets.build("few", "v1", limit=limit)
        run = made_training(store, seed=limit, key="few-v1")
        store.runs.promote(run.run_id, "released")
        stores.append(store)
    one, other = stores
    subprocess.run(["cp", "-rn", f"{other.root}/.", str(one.root)], check=True)
    one.build_site(tmp_path / "site")
    index = (tmp_path / "site" / "index.html").read_text()
    assert "The dataset few-v1 has different builds" in index
    assert "The name released was given to different runs" in index
    assert "Branches disagree on the trace" in index
    assert "a and b." in index or "b and a." in index


def test_a_model_from_elsewhere_has_a_page_that_says_what_is_not_known(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store", n=8, n_samples=250)
    elsewhere = made_training(store)
    run = made_evaluation(store, elsewhere, n_right=3)
    shutil.rmtree(store.layout.runs / elsewhere.run_id)
    seen: list[tuple[int, int]] = []
    store.traces.generate_arithmetic(kinds=["addition"], n_digits=3, n=600, seed=0)
    store.build_site(tmp_path / "site", on_progress=lambda a, b: seen.append((a, b)))
    page = (tmp_path / "site" / "runs" / f"{run.run_id}.html").read_text()
    assert "No training run of this model is in this store" in page
    assert "tunixrt eval DIR --evalset sums" in page
    assert "The first 200 of 250" in page
    assert seen == [(500, 608)]


def test_models_that_are_asked_the_same_are_paired_whatever_they_were_trained_to_answer(
    tmp_path: Path,
) -> None:
    store = made_store(tmp_path / "store", n=8)
    answers = made_evaluation(store, made_training(store), n_right=3, data_format="answer_only")
    steps = made_evaluation(store, made_training(store, seed=1), n_right=9)
    store.build_site(tmp_path / "site")
    (page,) = (tmp_path / "site" / "compare").iterdir()
    assert page.name == f"{answers.run_id[:16]}-{steps.run_id[:16]}.html"
    assert store.runs.compare(answers.run_id, steps.run_id).n_pairs == 20


def test_a_site_of_many_traces_needs_few_file_descriptors(tmp_path: Path) -> None:
    """300 parts of the index and 256 shards, with room for 16 more open files."""
    made = subprocess.run(
        [sys.executable, "-c", _MANY_PARTS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"index-{n}.js" for n in range(300)} | {
        f"traces-{n:02x}.js" for n in range(256)
    }
    rows = []
    for number in range(300):
        script = (tmp_path / f"index-{number}.js").read_text()
        head, _, rest = script.partition(", ")
        assert head == f'tunixrt("index-{number}"'
        rows += json.loads(rest.removesuffix(");\n"))
    assert [row[0] for row in rows] == [f"{n:064x}"[::-1][:16] for n in range(3_000)]
    shown = 0
    for path in tmp_path.glob("traces-*.js"):
        shard = json.loads(path.read_text().partition(", ")[2].removesuffix(");\n"))
        assert all(row[0].startswith(path.stem.removeprefix("traces-")) for row in shard)
        shown += len(shard)
    assert shown == 3_000


_MANY_PARTS = """
import os, resource, sys
from pathlib import Path
from tests.making.traces import trace
from tunixrt.report.site import traces as site
site.PART_ROWS = 10
n_open = len(os.listdir("/dev/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 16, n_open + 16))
with site.TraceFiles(Path(sys.argv[1]), 3_000) as files:
    for n in range(3_000):
        files.add("sha256:" + f"{n:064x}"[::-1], "active", trace(str(n)))
"""
