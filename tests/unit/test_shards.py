"""The parts of a job that cannot be lost: cut, ids, locks, cores, inputs, output folder, progress."""

import json
import os
from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netral.progress
from inference.host import allowed_cores, visible_gpus
from inference.jobs.inputs import Inputs
from inference.jobs.locks import FolderLock, Slice
from inference.jobs.rows import Tally, to_labels, to_sentences
from inference.jobs.shards import OutputFolder, cut
from netral.config import ReadSettings, TextSettings
from netral.errors import NetralError
from netral.io.columns import ReadReport
from netral.io.ids import HashSet, Renamer
from netral.io.readers import read_files
from netral.progress import Progress, say, use_log
from netral.provenance import file_digest
from netral.records import Article, Failure, Prediction, Reject, Sentence
from netral.text import TextStage


def articles(*sizes):
    return [Article("a.jsonl", i + 1, str(i), "x" * size) for i, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 1000))
def test_the_cut_keeps_every_row_in_order_and_closes_shards_at_the_size(sizes, size):
    rows = articles(*sizes)
    shards = list(cut(rows, size, lambda: 0))
    assert [row for shard in shards for row in shard.rows] == rows
    assert [shard.index for shard in shards] == list(range(len(shards)))
    weights = [[100 + len(row.text) for row in shard.rows] for shard in shards]
    assert all(sum(each) >= size for each in weights[:-1])
    assert all(sum(each[:-1]) < size for each in weights)


def test_the_cut_counts_bytes_read_and_bad_rows():
    position = iter([10, 10, 25, 25])
    shards = list(cut([Reject("a", i, "not_json", "x" * 50) for i in range(4)], 300, lambda: next(position)))
    assert [len(shard.rows) for shard in shards] == [2, 2]
    assert [shard.input_bytes for shard in shards] == [10, 15]
    assert shards[0].files() == {"a"}


class PlainRenamer:
    """What Renamer does, with every id in a dict."""

    def __init__(self):
        self.seen = Counter()

    def __call__(self, wanted):
        self.seen[wanted] += 1
        return wanted if self.seen[wanted] == 1 else self(f"{wanted}~{self.seen[wanted]}")


@given(st.lists(st.sampled_from(["a", "b", "a~2", "a~3", "b~2", "\ud800", ""]), max_size=40))
def test_ids_are_renamed_as_a_dict_of_all_ids_would(ids):
    rename, plain = Renamer(), PlainRenamer()
    given_ids = [rename(each) for each in ids]
    assert given_ids == [plain(each) for each in ids]
    assert len(set(given_ids)) == len(given_ids)


def test_a_hundred_thousand_ids_take_few_bytes_each():
    seen = HashSet()
    assert all(seen.add(f"crawl#{i}") for i in range(100_000))
    assert not any(seen.add(f"crawl#{i}") for i in range(0, 100_000, 7))
    assert sum(table.itemsize * len(table) for table in seen._tables) < 22 * 100_000


AFFINITY = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/", {}, 64),
        ("0::/job", {"job/cpu.max": "max 100000", "cpu.max": "max 100000"}, 64),
        ("0::/job", {"job/cpu.max": "250000 100000"}, 2),
        ("0::/a/b", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, 4),
        ("0::/host/path/not/seen/inside", {"cpu.max": "300000 100000"}, 3),
        ("0::/job", {"job/cpu.max": "50000 100000"}, 1),
        ("0::/job", {"job/cpu.max": "rubbish"}, 64),
        ("4:cpu,cpuacct:/job", {"cpu,cpuacct/job/cpu.cfs_quota_us": "150000", "cpu,cpuacct/job/cpu.cfs_period_us": "50000"}, 3),
        ("4:cpu:/docker/x\n3:memory:/", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_cores_follow_affinity_and_container_quota(tmp_path, monkeypatch, groups, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert allowed_cores(tmp_path) == cores


def test_cores_without_control_groups(tmp_path):
    assert allowed_cores(tmp_path) == AFFINITY


def test_gpus_are_those_that_may_be_used(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(tmp_path) == []
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "proc/driver/nvidia/gpus" / name).mkdir(parents=True)
    assert visible_gpus(tmp_path) == ["0", "1"]
    for named, found in {"": [], "-1": [], "1": ["1"], "GPU-a, GPU-b": ["GPU-a", "GPU-b"]}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert visible_gpus(tmp_path) == found


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", "²/3"])
def test_a_wrong_slice_is_refused(text):
    with pytest.raises(NetralError, match="i/n"):
        Slice.parse(text)


def test_slices_hold_every_shard_once():
    slices = [Slice.parse(f"{i}/3") for i in (1, 2, 3)]
    assert all(sum(each.holds(index) for each in slices) == 1 for index in range(10))


def test_one_plain_job_or_several_slices_of_one_division(tmp_path):
    folder = tmp_path / "out"
    with FolderLock(folder, None), pytest.raises(NetralError, match="another job"), FolderLock(folder, None):
        pass
    assert not folder.exists()  # nothing was begun
    with FolderLock(folder, Slice(1, 3)) as first:
        with first.setup():
            assert first.alone()
        with pytest.raises(NetralError, match="another job"), FolderLock(folder, None):
            pass
        with pytest.raises(NetralError, match="another job"), FolderLock(folder, Slice(1, 3)):
            pass
        with pytest.raises(NetralError, match="same n"), FolderLock(folder, Slice(2, 2)):
            pass
        with FolderLock(folder, Slice(3, 3)) as second, second.setup():
            assert not second.alone()
    with FolderLock(folder, Slice(2, 2)):
        pass
    with FolderLock(folder, None):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NetralError, match="file"), FolderLock(tmp_path / "file" / "out", None):
        pass


def test_an_input_that_changed_or_vanished_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "a.txt", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_text("ASN netral.")
    inputs = Inputs(paths)
    assert inputs.plain_bytes() == 22
    assert [each["file"] for each in inputs.listed()] == ["a.txt", "b.jsonl"]
    inputs.check()
    os.utime(paths[1], ns=(0, 0))
    inputs.check(["a.txt"])
    with pytest.raises(NetralError, match=r"b\.jsonl: changed"):
        inputs.check()
    paths[0].unlink()
    with pytest.raises(NetralError, match=r"a\.txt: vanished"):
        inputs.check()
    with pytest.raises(NetralError, match=r"a\.txt: cannot be read"):
        Inputs(paths)


def test_how_much_is_to_be_read_is_known_of_plain_files_only(tmp_path):
    for name in ("a.txt", "a.txt.gz", "a.parquet"):
        (tmp_path / name).write_bytes(b"x")
    assert Inputs([tmp_path / "a.txt"]).plain_bytes() == 1
    assert Inputs([tmp_path / "a.txt", tmp_path / "a.txt.gz"]).plain_bytes() is None
    assert Inputs([tmp_path / "a.parquet"]).plain_bytes() is None


def test_the_readers_tell_how_much_they_read(tmp_path):
    (tmp_path / "a.txt").write_text("ASN netral.")
    (tmp_path / "b.jsonl").write_text('{"text":"ASN netral."}\n\nrubbish\n')
    sizes = []
    list(read_files(sorted(tmp_path.iterdir()), ReadSettings(), report=ReadReport(on_bytes=sizes.append)))
    assert sum(sizes) == sum(path.stat().st_size for path in tmp_path.iterdir())


@pytest.fixture
def output(tmp_path):
    """An output folder with one finished shard."""
    output = OutputFolder(tmp_path / "out")
    output.path.mkdir()
    output.begin({"kind": "netral label"})
    files = {name: output.temporary(name, 0, "t") for name in ("part", "rejects")}
    for name, path in files.items():
        path.write_text(name)
    marker = {name: {"bytes": path.stat().st_size, "sha256": file_digest(path)} for name, path in files.items()}
    output.publish(0, "t", marker)
    return output


def test_a_shard_is_done_while_its_files_fit_its_marker(output):
    assert output.done(0)
    assert not output.done(1)
    output.part(0).write_text("port")
    assert not output.done(0)
    output.part(0).write_text("part")
    assert output.done(0)
    output.rejects(0).unlink()
    assert not output.done(0)
    output.marker(0).write_text('{"part": 3}')
    assert not output.done(0)


def test_files_of_attempts_that_died_are_removed_by_the_slice_they_belong_to(output):
    names = [
        ".part-00001.ab12.tmp",
        ".journal-00002.ab12.tmp",
        ".summary.json.ab12.tmp",
        ".manifest.json.ab12.tmp",
        "shards/.00001.json.ab12.tmp",
    ]
    for name in (*names, ".keep.tmp"):
        (output.path / name).write_text("")
    output.remove_temporary(lambda index: index == 2)
    assert [name for name in names if (output.path / name).exists()] == [names[0], names[4]]
    output.remove_temporary(lambda index: True)
    assert not any((output.path / name).exists() for name in names)
    assert (output.path / ".keep.tmp").exists()


def test_starting_over_removes_only_what_a_job_wrote(output):
    (output.path / "notes.txt").write_text("mine")
    (output.path / "00001.json").write_text("mine")
    output.clear()
    assert sorted(path.name for path in output.path.iterdir()) == ["00001.json", "notes.txt"]
    with pytest.raises(NetralError, match="no label job"):
        output.read_manifest()


def test_a_folder_with_nothing_but_what_a_killed_start_left_is_free(tmp_path):
    for name in (".lock", ".lock-1-of-3", ".lock-setup", ".manifest.json.0a1b2c3d.tmp"):
        (tmp_path / name).write_text("")
    assert OutputFolder(tmp_path).read_manifest() is None
    (tmp_path / "part-00000.parquet").write_text("")
    with pytest.raises(NetralError, match="not replaced"):
        OutputFolder(tmp_path).read_manifest()


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "another"}'])
def test_a_manifest_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(NetralError, match="not the manifest"):
        OutputFolder(tmp_path).read_manifest()


class HalfBroken:
    """A predictor that cannot score sentences with an exclamation mark."""

    labels = ("warning",)
    pairs = False
    review: ClassVar = {}

    def attempt(self, sentences):
        return [Failure("backend_failed", "boom") if "!" in text else Prediction(("warning",), {"warning": 1.0}) for text in sentences]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_rejects_stand_in_the_order_of_the_input_whatever_is_scored_together(size):
    rows = [
        Article("a", 1, "a", "ASN netral. Ia pergi! Mereka datang."),
        Reject("a", 2, "not_json", "rubbish"),
        Article("a", 3, "c", "Baca juga: Judul"),
        Sentence("a", 4, "d", "d", 0, 4, "Ayo!"),
    ]
    tally = Tally()
    items = list(to_sentences(rows, TextStage(TextSettings()), tally))
    found = [each for i in range(0, len(items), size) for each in to_labels(items[i : i + size], HalfBroken(), tally)]
    rejects = [each for each in found if isinstance(each, Reject)]
    assert [(each.row, each.reason, each.id) for each in rejects] == [
        (1, "backend_failed", "a:2"),
        (2, "not_json", ""),
        (3, "no_sentences", "c"),
        (4, "backend_failed", "d"),
    ]
    counts = tally.counts()
    assert counts["rows_in"] == 4
    assert counts["sentences_out"] == 2
    assert counts["labels"] == {"warning": 2}
    assert counts["rejects"] == {"backend_failed": 2, "no_sentences": 1, "not_json": 1}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [0.0]
    monkeypatch.setattr(netral.progress.time, "monotonic", lambda: now[0])
    yield now
    use_log("auto")


def test_plain_progress_lines_come_every_thirty_seconds_with_rate_and_time_left(clock, capsys):
    with Progress("label", "sentences", total_bytes=1000) as progress:
        progress.skip(400)
        clock[0] = 29
        progress.advance(50, 100)
        clock[0] = 30
        progress.advance(10, 20)
        clock[0] = 59
        progress.advance(10, 20)
    assert capsys.readouterr().err == "label: 60 sentences, 2/s, 0:02:00 left\n"


def test_without_a_known_size_no_time_left_is_guessed(clock, capsys):
    with Progress("label", "sentences") as progress:
        clock[0] = 100
        progress.advance(50, 100)
    assert capsys.readouterr().err == "label: 50 sentences, 0/s\n"


def test_json_log_lines(clock, capsys):
    use_log("json")
    with Progress("label", "sentences", total_bytes=200) as progress:
        clock[0] = 50
        progress.advance(50, 100)
    say("error: no", level="error")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["done"], first["per_second"], first["seconds_left"]) == ("progress", 50, 1.0, 50)
    assert (second["level"], second["message"]) == ("error", "error: no")
