"""Run directories: published whole, found by prefix, every hashed byte checked."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.making.manifests import training_manifest
from tunixrt.derive import encode_manifest, write_environment
from tunixrt.log.files import publish_directory, staging_directory
from tunixrt.log.layout import Layout, init
from tunixrt.log.sums import output_digests, seal
from tunixrt.runs.directories import find_run, list_run_ids, read_runs, verify_runs
from tunixrt.runs.manifests import ManifestError, TrainingManifest, read_manifest
from tunixrt.runs.promotions import UnknownRunError
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return init(tmp_path)


def publish(layout: Layout, **changes: Any) -> TrainingManifest:
    with staging_directory(layout) as staged:
        (staged / "model").mkdir()
        (staged / "model" / "model.safetensors").write_bytes(b"weights")
        (staged / "metrics.jsonl").write_bytes(b'{"loss":1.5,"step":1}\n')
        manifest = training_manifest(outputs=output_digests(staged), **changes)
        seal(staged, encode_manifest(manifest))
        write_environment(staged / "environments", {"duration_s": 1.5})
        publish_directory(staged, layout.runs / manifest.run_id)
    return manifest


def test_a_published_run_reads_back_and_verifies(layout: Layout) -> None:
    manifest = publish(layout)
    assert list_run_ids(layout) == [manifest.run_id]
    assert read_runs(layout) == [manifest]
    assert find_run(layout, manifest.run_id[:6]) == manifest
    assert (
        manifest.weights == output_digests(layout.runs / manifest.run_id)["model/model.safetensors"]
    )
    assert list(verify_runs(layout)) == []
    assert Run.of(layout, manifest.run_id).environments() == [{"duration_s": 1.5}]


def test_the_sums_are_what_sha256sum_reads(layout: Layout) -> None:
    directory = layout.runs / publish(layout).run_id
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout.splitlines() == [
        "manifest.json: OK",
        "metrics.jsonl: OK",
        "model/model.safetensors: OK",
    ]


def test_one_flipped_bit_in_any_file_is_found_and_located(layout: Layout) -> None:
    directory = layout.runs / publish(layout).run_id
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        original = path.read_bytes()
        for position in {0, len(original) // 2, len(original) - 1}:
            flipped = bytearray(original)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            found = list(verify_runs(layout))
            named = {finding.path for finding in found}
            here = path.relative_to(layout.root).as_posix()
            # A changed line of the sums names the file whose sum it changes.
            assert here in named or path.name == "SHA256SUMS", (here, position, found)
            assert found
        path.write_bytes(original)
    assert list(verify_runs(layout)) == []


def test_missing_added_and_misplaced_files_are_found(layout: Layout) -> None:
    run_id = publish(layout).run_id
    directory = layout.runs / run_id
    (directory / "notes.txt").write_text("mine")
    assert {f.path for f in verify_runs(layout)} == {f"runs/{run_id}/notes.txt"}
    (directory / "notes.txt").unlink()
    (directory / "metrics.jsonl").unlink()
    assert {f.path for f in verify_runs(layout)} == {f"runs/{run_id}/metrics.jsonl"}
    (layout.runs / "scratch").mkdir()
    assert "runs/scratch" in {f.path for f in verify_runs(layout)}
    (directory / "SHA256SUMS").write_bytes(b"\xff")
    (directory / "manifest.json").unlink()
    assert {f"runs/{run_id}/SHA256SUMS", f"runs/{run_id}/manifest.json"} <= {
        f.path for f in verify_runs(layout)
    }


def test_a_run_under_another_name_is_found(layout: Layout) -> None:
    run_id = publish(layout).run_id
    other = "0" * 64
    (layout.runs / run_id).rename(layout.runs / other)
    assert [f.path for f in verify_runs(layout)] == [f"runs/{other}/manifest.json"]


def test_malformed_sums_are_found(layout: Layout) -> None:
    run_id = publish(layout).run_id
    path = layout.runs / run_id / "SHA256SUMS"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(reversed(lines)))
    assert [f.path for f in verify_runs(layout)] == [f"runs/{run_id}/SHA256SUMS"]
    path.write_bytes(b"nonsense\n" + b"".join(lines))
    assert (f"runs/{run_id}/SHA256SUMS", 1) in {(f.path, f.line) for f in verify_runs(layout)}


def test_a_layout_without_runs_has_none(tmp_path: Path) -> None:
    assert list_run_ids(Layout(tmp_path)) == []
    assert list(verify_runs(Layout(tmp_path))) == []


@pytest.mark.parametrize(
    ("prefix", "fragment"),
    [("abc", "at least 6"), ("zzzzzz", "at least 6"), ("abcdef", "run abcdef does not exist")],
)
def test_a_prefix_that_names_no_run_gets_a_sentence(
    layout: Layout, prefix: str, fragment: str
) -> None:
    publish(layout)
    with pytest.raises(UnknownRunError, match=fragment):
        find_run(layout, prefix)


def test_a_prefix_of_several_runs_lists_them(layout: Layout) -> None:
    run_id = publish(layout).run_id
    twin = run_id[:-1] + ("0" if run_id[-1] != "0" else "1")
    (layout.runs / twin).mkdir()
    with pytest.raises(UnknownRunError, match="several runs"):
        find_run(layout, run_id[:12])


def test_a_manifest_is_canonical_or_refused(tmp_path: Path) -> None:
    manifest = training_manifest()
    path = tmp_path / "manifest.json"
    path.write_bytes(encode_manifest(manifest))
    assert read_manifest(path) == manifest
    path.write_bytes(encode_manifest(manifest) + b"\n")
    with pytest.raises(ManifestError, match="canonical"):
        read_manifest(path)
    path.write_bytes(b"{")
    with pytest.raises(ManifestError, match="not JSON"):
        read_manifest(path)
    document = msgspec.to_builtins(manifest)
    del document["results"]
    path.write_bytes(msgspec.json.encode(document, order="sorted"))
    with pytest.raises(ManifestError, match="results"):
        read_manifest(path)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "absent.json")


def test_sealing_lists_the_manifest_first_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b")
    seal(tmp_path, encode_manifest(training_manifest()))
    names = [line.split("  ")[1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()]
    assert names == ["b.txt", "manifest.json"]
