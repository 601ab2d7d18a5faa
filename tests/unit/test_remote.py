"""Files of file systems that are named by a URI, without a network: fsspec's memory, and file://."""

import gzip
import json
import lzma
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.jobs.rollup import to_rows
from inference.jobs.rows import Tally
from inference.ray_jobs.folder import RayFolder
from inference.ray_jobs.plan import Plan, Planner, final_id, find_sources, grouped, planned_rows, row_digest, scan
from netral.config import ReadSettings
from netral.errors import NetralError
from netral.io.ids import Renamer
from netral.io.readers import read_file
from netral.io.remote import RemoteFile, expand_uris, filesystem
from netral.records import Prediction, Reject, Sentence

ROWS = [{"id": "a", "text": "ASN netral."}, {"sentence": "Ia pergi."}, {"text": 5}, {"id": "a", "text": "ASN netral."}]


@pytest.fixture
def memory():
    """An empty folder in memory, as a URI."""
    pytest.importorskip("fsspec")
    return f"memory://{uuid.uuid4().hex}"


def write(uri, data):
    store, path = filesystem(uri)
    store.create_dir(path.rsplit("/", 1)[0], recursive=True)
    with store.open_output_stream(path, compression=None) as stream:
        stream.write(data)


@pytest.fixture
def files():
    """The same rows in every format."""
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    table = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["ASN netral.", None], "id": ["a", "a"]}), table)
    zstd = pa.BufferOutputStream()
    with pa.CompressedOutputStream(zstd, "zstd") as stream:
        stream.write(lines)
    return {
        "a.jsonl": lines,
        "b.jsonl.gz": gzip.compress(lines),
        "c.jsonl.xz": lzma.compress(lines),
        "d.jsonl.zst": zstd.getvalue().to_pybytes(),
        "e.parquet": table.getvalue().to_pybytes(),
        "f.txt": b"ASN netral.",
        "g.jsonl.gz": gzip.compress(lines)[:-9],
    }


def test_every_format_reads_as_from_a_disk(tmp_path, memory, files):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        write(f"{memory}/x/{name}", data)
    write(f"{memory}/x/rejects.jsonl", b"ours")
    found = sorted(expand_uris([memory, f"{memory}/x/a.jsonl"]), key=RemoteFile.shown)
    assert [file.name for file in found] == list(files)
    for file in found:
        assert file.shown() == f"memory://{file.path}"
        local = list(read_file(tmp_path / file.name, file.name, ReadSettings(), Renamer()))
        assert list(read_file(file, file.name, ReadSettings(), Renamer())) == local


def test_a_uri_that_means_nothing_says_so(memory):
    write(f"{memory}/x/page.pdf", b"%PDF")
    for uri, message in (
        (memory, "no file that netral reads"),
        (f"{memory}/y", "no file that netral reads"),
        ("abacus://x", "no file system for it"),
    ):
        with pytest.raises(NetralError, match=message) as caught:
            expand_uris([uri])
        assert caught.value.next_step


def test_the_output_is_not_read_again(tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("a.jsonl", "out/part.parquet"):
        (tmp_path / name).write_bytes(b"{}")
    for inputs, out in ((tmp_path, tmp_path / "out"), (f"file://{tmp_path}", f"file://{tmp_path}/out/")):
        assert [source.name.rsplit("/", 1)[1] for source in find_sources([str(inputs)], str(out))] == ["a.jsonl"]


def planned(planner, sources):
    """Return (provenance, id) of the rows that are to do."""
    plan = Plan()
    for table in scan(sources, ReadSettings(), size=3):
        for row in table.to_pylist():
            planner.add(plan, row["digest"], row["wanted"])
    keys = []
    rows = list(planned_rows(sources, ReadSettings(), plan, keys))
    assert len(rows) == plan.rows
    return [(key, final_id(row)) for key, row in zip(keys, rows, strict=True)]


def test_small_files_go_together(tmp_path, files):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    sources = find_sources([str(tmp_path)], "out/")
    assert [len(group) for group in grouped(sources, 10**6)] == [len(files)]
    assert [len(group) for group in grouped(sources, 1)] == [1] * len(files)


def test_a_plan_gives_the_ids_of_the_local_engine_and_leaves_out_what_is_done(tmp_path, files):
    (tmp_path / "a.jsonl").write_bytes(files["a.jsonl"])
    (tmp_path / "b.jsonl").write_bytes(files["a.jsonl"])
    sources = find_sources([str(tmp_path)], "out/")
    everything = planned(Planner([]), sources)
    assert [row_id for _, row_id in everything] == ["a", "a#2", None, "a~2", "a~3", "b#2", None, "a~4"]
    assert len({key for key, _ in everything}) == len(everything)
    # Whatever was done before a stop, the rest comes out as it would have.
    for done in range(1 << len(everything)):
        before = [each for i, each in enumerate(everything) if done >> i & 1]
        assert planned(Planner(before), sources) == [each for each in everything if each not in before]


def test_an_id_in_the_output_is_not_given_to_a_new_row(tmp_path):
    (tmp_path / "b.jsonl").write_text('{"id": "x", "text": "ASN netral."}\n')
    done = planned(Planner([]), find_sources([str(tmp_path)], "out/"))
    (tmp_path / "a.jsonl").write_text('{"id": "x", "text": "Ia pergi."}\n')
    assert [row_id for _, row_id in planned(Planner(done), find_sources([str(tmp_path)], "out/"))] == ["x~2"]


def test_provenance_does_not_depend_on_place_or_renaming():
    one = Sentence("a.jsonl", 1, "x", "x", 0, 4, "ASN.")
    assert row_digest(one, "x") == row_digest(Sentence("b.jsonl", 9, "x~2", "x~2", 0, 4, "ASN."), "x")
    assert row_digest(one, "x") == row_digest(Sentence("b.jsonl", 9, "x", "x~2", 0, 4, "ASN."), "x")
    assert row_digest(one, "x") != row_digest(Sentence("a.jsonl", 1, "x", "x", 0, 4, "ASN!"), "x")


def test_a_folder_in_a_store_forgets_what_has_no_marker(memory):
    folder = RayFolder(f"{memory}/out/")
    manifest = {"kind": "netral label --engine ray", "model": "1"}
    assert folder.begin(manifest, overwrite=False) == {}
    labelled = [
        (Sentence("a", 1, "x", "x:1", 0, 4, "ASN."), Prediction(("warning",), {"warning": 0.9})),
        Reject("a", 2, "empty", "no text"),
    ]
    names = ["000-000000-00000", "000-000001-00000"]
    for name in names:
        size = folder.write_part(name, to_rows(labelled, "sentence", ["warning"], "m", Tally()), [("k", "x"), ("l", None)], ["warning"])
    folder.publish(names[1], {"part_bytes": size})
    assert list(folder.begin(manifest, overwrite=False)) == names[1:]
    assert list(folder.done(names[1:])) == [("k", "x"), ("l", None)]
    assert not [path for path in folder._listed() if names[0] in path.name]
    folder.finish(names[1:], {"parts": 1})
    assert folder.first_rejects(names[1:]) == ["a:2: empty: no text"]
    assert folder.read_summary() == {"parts": 1}
    with pytest.raises(NetralError, match="other model"):
        folder.begin({**manifest, "model": "2"}, overwrite=False)
    assert folder.begin({**manifest, "model": "2"}, overwrite=True) == {}
    assert [path.name for path in folder._listed()] == ["manifest.json"]
    write(f"{memory}/mine/thesis.txt", b"mine")
    with pytest.raises(NetralError, match="thesis"):
        RayFolder(f"{memory}/mine").begin(manifest, overwrite=True)
