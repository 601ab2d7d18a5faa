"""`--engine ray` on a Ray of this machine: the rows of the local engine, and nothing done twice."""

import gzip
import json
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import read_jsonl, write_jsonl
from typer.testing import CliRunner

from inference.jobs.job import label
from netral.cli import app
from netral.config import load_config
from netral.errors import NetralError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'netral[ray]'")

# Small parts, so that there are many.
CONFIG = load_config(None, ["label.shard_bytes=6000"])
WORDS = """ASN netral pilkada dukungan bupati camat lurah larangan sanksi tegas kampanye politik pegawai dinas daerah surat edaran
wajib menjaga sikap warga pasar jalan hujan sawah jembatan kantor desa musim panen guru sekolah""".split()


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One Ray for the whole module: starting it takes ten seconds on a busy machine."""
    from inference.ray_jobs.cluster import load_ray

    ray = load_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def sentence(rng):
    return " ".join(rng.choices(WORDS, k=rng.randint(4, 16))).capitalize() + "."


def article(rng, row_id=None):
    row = {"text": " ".join(sentence(rng) for _ in range(8)), "url": f"https://warta.example/{rng.randrange(10**6)}"}
    return row if row_id is None else {"id": row_id, **row}


@pytest.fixture
def crawl(tmp_path):
    """Articles and sentences in every format, with ids of their own and none, repeated ids, equal rows and bad rows."""
    folder = tmp_path / "crawl"
    (folder / "b").mkdir(parents=True)
    rng = random.Random(1)
    rows = [article(rng, rng.choice([None, f"id-{rng.randrange(9)}"])) for _ in range(40)]
    lines = [json.dumps(row) for row in [*rows, rows[0], rows[0]]]
    bad = ["rubbish", '{"text": 5}', '{"text": "Baca juga: Judul lain"}', "", '{"id": "id-1", "sentence": "ASN.", "start": 1, "end": 2}']
    for place, line in zip(range(3, 40, 7), bad, strict=False):
        lines.insert(place, line)
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "b" / "a.jsonl").write_text(json.dumps(article(rng)) + "\n")  # its made ids are those of the other a.jsonl
    with gzip.open(folder / "c.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps({"sentence": sentence(rng), "id": f"id-{i % 25}", "n": i}) + "\n" for i in range(50))
    texts = {"text": [article(rng)["text"] for _ in range(20)] + [None, ""], "sentence": [None] * 20 + [sentence(rng), None]}
    pq.write_table(pa.table({**texts, "desk": [f"desk {i}" for i in range(22)]}), folder / "d.parquet")
    (folder / "e.txt").write_text(" ".join(sentence(rng) for _ in range(5)))
    (folder / "f.txt").write_bytes(b"\xff\xfe")
    (folder / "g.parquet").write_bytes(b"PAR1 not quite")
    return folder


def on_ray(inputs, out, model, config=CONFIG, **kwargs):
    from inference.ray_jobs.job import label_on_ray

    return label_on_ray([str(each) for each in inputs], f"{out}/", config, model=model, **{"backend": "fake", **kwargs})


def rows_of(out):
    parts = [pq.read_table(path) for path in sorted(out.glob("part-*"))]
    return [{**row, "meta": json.loads(row["meta"])} for part in parts for row in part.to_pylist()]


def local(inputs, tmp_path, model, **kwargs):
    """Summary, rows and rejects of the local engine."""
    out = tmp_path / "local.jsonl"
    found = label([str(each) for each in inputs], str(out), CONFIG, model=model, overwrite=True, **{"backend": "fake", **kwargs})
    # What the readers saw besides rows (columns, languages) is not counted by the Ray engine: docs/cluster.md.
    for name in ("columns", "not_indonesian", "skipped_records"):
        found["counts"].pop(name, None)
    return found, read_jsonl(out), (tmp_path / "local.jsonl.rejects.jsonl").read_bytes()


def test_the_rows_of_the_local_engine_and_only_new_ones_next_time(tmp_path, crawl, tiny_model):
    out = tmp_path / "out"
    found = on_ray([crawl], out, tiny_model)
    expected, rows, rejects = local([crawl], tmp_path, tiny_model)
    assert found["parts"] >= 5
    assert rows_of(out) == rows
    assert any("~2" in row["article_id"] for row in rows)
    assert (out / "rejects.jsonl").read_bytes() == rejects
    assert found["counts"] == expected["counts"]
    assert not list(out.rglob(".*.tmp"))

    before = {path: path.read_bytes() for path in out.glob("part-*")}
    write_jsonl(crawl / "z.jsonl", [article(random.Random(2), "id-1"), read_jsonl(crawl / "b" / "a.jsonl")[0]])
    found = on_ray([crawl], out, tiny_model)
    expected, rows, rejects = local([crawl], tmp_path, tiny_model)
    assert {path: path.read_bytes() for path in before} == before
    assert rows_of(out) == rows
    assert found["counts"] == expected["counts"]

    # A job that was killed: a part whose marker was not written yet, and a file half written.
    lost = sorted((out / "shards").glob("*.json"))[1]
    lost.unlink()
    (out / "summary.json").unlink()
    (out / ".part-000-000000-00000.parquet.12345678.netral.tmp").write_bytes(b"PAR1")
    found = on_ray([crawl], out, tiny_model)
    by_id = {row["sentence_id"]: row for row in rows}
    assert len(rows_of(out)) == len(rows)
    assert {row["sentence_id"]: row for row in rows_of(out)} == by_id
    assert found["counts"] == expected["counts"]
    assert sorted((out / "rejects.jsonl").read_bytes().splitlines()) == sorted(rejects.splitlines())
    assert not list(out.rglob(".*.tmp"))

    assert on_ray([crawl], out, tiny_model)["unchanged"]
    with pytest.raises(NetralError, match="other backend"):
        on_ray([crawl], out, tiny_model, backend="torch")


def test_articles_are_those_of_the_local_engine(tmp_path, crawl, tiny_model):
    rng = random.Random(3)
    records = [{"sentence": sentence(rng), "article_id": f"s{i // 40}"} for i in range(400)]
    write_jsonl(crawl / "h.jsonl", records)
    found = on_ray([crawl], tmp_path / "out", tiny_model, level="article")
    expected, rows, rejects = local([crawl], tmp_path, tiny_model, level="article")
    assert rows_of(tmp_path / "out") == rows
    assert [row["sentences"] for row in rows if row["article_id"] in {f"s{i}" for i in range(10)}] == [40] * 10
    assert (tmp_path / "out" / "rejects.jsonl").read_bytes() == rejects
    # What the reader finds out (languages) is counted by the local engine alone.
    assert found["counts"] == {key: expected["counts"][key] for key in found["counts"]}
    with pytest.raises(NetralError, match="other level"):
        on_ray([crawl], tmp_path / "out", tiny_model)


def test_torch_in_an_actor_over_uris_by_the_command_line(tmp_path, crawl, tiny_model):
    out = tmp_path / "out"
    inputs = [crawl / "d.parquet", crawl / "c.jsonl.gz"]
    # Actors of another size than the tasks that split: Ray then keeps the two apart, as it does with GPUs.
    options = ["--engine", "ray", "--set", "ray.num_cpus=0.5", "--backend", "torch", "--model", str(tiny_model)]
    done = CliRunner().invoke(app, ["label", *(f"file://{path}" for path in inputs), "--out", f"file://{out}/", *options])
    assert done.exit_code == 0, done.output
    assert f"file://{out}/rejects.jsonl" in done.output
    # URIs are read in the order of their names, as paths are.
    expected, rows, rejects = local(inputs, tmp_path, tiny_model, backend="torch")
    found = json.loads((out / "summary.json").read_text())
    assert (found["backend"], found["precision"]) == (expected["backend"], expected["precision"]) == ("torch", "fp32")
    for row in rows:
        row["provenance"]["file"] = f"file://{row['provenance']['file']}"
    assert rows_of(out) == rows
    names = [row["file"] for row in read_jsonl(out / "rejects.jsonl")]
    assert names == [f"file://{inputs[0].as_posix()}"] * rejects.count(b"\n")
    assert found["counts"] == expected["counts"]


def test_what_cannot_begin_says_why(tmp_path, tiny_model):
    write_jsonl(tmp_path / "a.jsonl", [{"teks": "ASN"}])
    with pytest.raises(NetralError, match="standard input"):
        on_ray(["-"], tmp_path / "out", tiny_model)
    with pytest.raises(NetralError, match="needs 65 CPUs"):
        on_ray([tmp_path / "a.jsonl"], tmp_path / "out", tiny_model, load_config(None, ["ray.concurrency=64"]))
    with pytest.raises(NetralError, match=r"abacus"):
        on_ray([tmp_path / "a.jsonl"], tmp_path / "out", tiny_model, backend="abacus")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    with pytest.raises(NetralError, match=r"a\.jsonl:1: missing_field"):
        on_ray([tmp_path / "a.jsonl"], tmp_path / "out", tiny_model)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_an_input_that_changes_fails_the_job_and_the_next_run_ends_it(tmp_path, tiny_model, monkeypatch):
    from inference.ray_jobs import job as ray_job

    path = write_jsonl(tmp_path / "a.jsonl", [article(random.Random(i)) for i in range(5)])
    find = ray_job.find_sources

    def find_and_grow(*arguments):
        found = find(*arguments)
        with path.open("a") as stream:
            stream.write(json.dumps(article(random.Random(99))) + "\n")
        return found

    monkeypatch.setattr(ray_job, "find_sources", find_and_grow)
    with pytest.raises(NetralError, match=r"a\.jsonl: changed or vanished"):
        on_ray([path], tmp_path / "out", tiny_model)
    monkeypatch.undo()
    on_ray([path], tmp_path / "out", tiny_model)
    assert rows_of(tmp_path / "out") == local([path], tmp_path, tiny_model)[1]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no such host:6379"])
def test_a_cluster_that_does_not_answer(address):
    from inference.ray_jobs.cluster import connect, load_ray

    with pytest.raises(NetralError, match=f"{address}: no Ray cluster answers"):
        connect(load_ray(), address)


def test_without_ray_the_message_says_how_to_get_it(tmp_path, tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    write_jsonl(tmp_path / "a.jsonl", [{"sentence": "ASN netral."}])
    with pytest.raises(NetralError, match=r"pip install 'netral\[ray\]'"):
        on_ray([tmp_path / "a.jsonl"], tmp_path / "out", tiny_model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "spark"], "--engine spark: unknown"),
        (["--address", "auto"], "only for --engine ray"),
        (["--engine", "ray", "--workers", "2"], "--workers: not for --engine ray"),
        (["--engine", "ray"], "writes a folder"),
    ],
)
def test_options_of_the_other_engine_are_refused(options, message):
    from netral.commands.label import _on_ray

    given = dict(zip(options[::2], options[1::2], strict=True))
    others = {"--workers": "--workers" in given}
    with pytest.raises(NetralError, match=message):
        _on_ray(given.get("--engine", "local"), "out.jsonl", given.get("--address"), others)
