"""A folder job is killed, starved and misused in every way; what it leaves is whole, and the same command finishes it.

Ten random moments of death in `make test`, a hundred in `make test-slow`.
"""

import json
import multiprocessing
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pyarrow.parquet as pq
import pytest
from support import ROOT, read_jsonl, write_jsonl

from inference.jobs.job import label
from inference.jobs.locks import Slice
from inference.jobs.shards import OutputFolder
from netral.config import load_config
from netral.errors import NetralError

MOMENTS = 50 if os.environ.get("NETRAL_SLOW") else 5
DEADLINE_S = 120
SETTINGS = ["label.shard_bytes=20000"]
WORDS = """ASN netral pilkada dukungan bupati camat lurah larangan sanksi tegas kampanye politik pegawai dinas daerah surat edaran
wajib menjaga sikap warga pasar jalan hujan sawah jembatan kantor desa musim panen guru sekolah""".split()


@pytest.fixture(autouse=True)
def workers_start_quickly(monkeypatch):
    """Spawned processes import the main module again: there is no need for each of them to load pytest."""
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)


def article(rng):
    return " ".join(" ".join(rng.choices(WORDS, k=rng.randint(4, 16))).capitalize() + "." for _ in range(10))


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """Three files, 3,000 sentences, with bad rows and repeated ids."""
    folder = tmp_path_factory.mktemp("crawl")
    rng = random.Random(0)
    for name in ("a", "b", "c"):
        rows = [{"id": f"id-{rng.randrange(200)}", "text": article(rng), "url": f"https://warta.example/{i}"} for i in range(100)]
        lines = [json.dumps(row) for row in rows]
        for i in range(7, 100, 20):
            lines.insert(i, rng.choice(["rubbish", '{"text": 5}', '{"text": "Baca juga: Judul lain"}']))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def run(crawl, out, model, **kwargs):
    """Run a job with this process as the coordinator."""
    settings = {"workers": 2, "backend": "fake", **kwargs}
    return label([str(crawl)], f"{out}/", load_config(None, [*SETTINGS, *settings.pop("extra", [])]), model=model, **settings)


@pytest.fixture(scope="module")
def expected(crawl, tiny_model, tmp_path_factory):
    """The output of a job that nothing happened to."""
    out = tmp_path_factory.mktemp("expected") / "out"
    run(crawl, out, tiny_model, workers=1)
    found = contents(out)
    assert sum(name.startswith("part-") for name in found) >= 10
    assert found["rejects.jsonl"]
    return found


def contents(out):
    """Everything but what tells of times; nothing unfinished may lie about."""
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert not [name for name in files if name.endswith(".tmp")]
    kept = {name: path.read_bytes() for name, path in files.items() if re.fullmatch(r"part-.*|.*rejects\.jsonl|manifest\.json", name)}
    summary = json.loads(files["summary.json"].read_text())
    return {**kept, "counts": summary["counts"], "markers": [m["counts"] for m in markers(out)]}


def markers(out):
    return [json.loads(path.read_text()) for path in sorted((out / "shards").glob("[0-9]*[0-9].json"))]


def command(crawl, out, model, *extra):
    code = "from netral.cli import main; main()"
    settings = ["--backend", "fake", "--workers", "2", "--set", SETTINGS[0]]
    return [sys.executable, "-c", code, "label", str(crawl), "--out", f"{out}/", "--model", str(model), *settings, *map(str, extra)]


@contextmanager
def started(*args, **kwargs):
    """Start a job in a process group of its own, which is gone at the end of the test whatever happens."""
    process = subprocess.Popen(command(*args), stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True, **kwargs)
    try:
        yield process
    finally:
        kill_group(process)
        process.communicate()


def finished(*args, **kwargs):
    return subprocess.run(command(*args), capture_output=True, text=True, cwd=ROOT, timeout=DEADLINE_S, **kwargs)


def kill_group(process, number=signal.SIGKILL):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def wait_until(what, process=None):
    """Look again and again until something holds (False: the process ended first)."""
    end = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < end, "nothing happened"
        if process is None:
            os.sched_yield()
            continue
        try:
            process.wait(0.002)
        except subprocess.TimeoutExpired:
            continue
        return bool(what())
    return True


def children(pid):
    return [int(each) for each in (open(f"/proc/{pid}/task/{pid}/children").read().split())]


def is_alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Events:
    """Counts the names that were ever seen in a folder: a clock of the job's own."""

    def __init__(self, out):
        self.out, self.seen = out, set()

    def __call__(self):
        for folder in (self.out, self.out / "shards"):
            if folder.is_dir():
                self.seen.update(f"{folder.name}/{name}" for name in os.listdir(folder))
        return len(self.seen)


@pytest.mark.parametrize("whole_group", [True, False], ids=["whole group", "coordinator alone"])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_a_random_moment_and_started_again(tmp_path, crawl, tiny_model, expected, moment, whole_group):
    out = tmp_path / "out"
    rng = random.Random(f"{moment} {whole_group}")
    with started(crawl, out, tiny_model) as process:
        events, moment = Events(out), rng.randrange(60)
        wait_until(lambda: events() >= moment, process)
        for _ in range(rng.randrange(20_000)):  # and somewhere between two names
            pass
        workers = children(process.pid) if process.poll() is None else []
        if whole_group:
            kill_group(process)
        else:
            process.kill()
        process.wait()
        # Workers whose coordinator is gone end by themselves.
        wait_until(lambda: not any(map(is_alive, workers)))
        output = OutputFolder(out)
        assert all(output.done(marker["shard"]) for marker in (markers(out) if out.exists() else []))
    again = finished(crawl, out, tiny_model, "--workers", 1)
    assert again.returncode == 0, again.stderr
    assert contents(out) == expected


@pytest.mark.parametrize(("workers", "batch_tokens", "window"), [(1, 64, 7), (3, 100_000, 4096)])
def test_the_same_bytes_for_any_workers_and_batches(tmp_path, crawl, tiny_model, expected, workers, batch_tokens, window):
    extra = [f"label.batch_tokens={batch_tokens}", f"label.window={window}"]
    run(crawl, tmp_path / "out", tiny_model, workers=workers, extra=extra)
    assert contents(tmp_path / "out") == expected


def test_the_folder_holds_the_rows_of_a_single_file(tmp_path, crawl, tiny_model, expected):
    run(crawl, tmp_path / "out", tiny_model)
    single = label([str(crawl)], str(tmp_path / "out.jsonl"), load_config(), model=tiny_model, backend="fake")
    rows = [
        {**row, "meta": json.loads(row["meta"])}
        for path in sorted((tmp_path / "out").glob("part-*"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert rows == read_jsonl(tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl.rejects.jsonl").read_bytes() == expected["rejects.jsonl"]
    assert single["counts"] == expected["counts"]


def test_done_is_done_and_a_damaged_part_is_made_again(tmp_path, crawl, tiny_model, expected):
    out = tmp_path / "out"
    run(crawl, out, tiny_model)
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert run(crawl, out, tiny_model)["unchanged"]
    part = out / "part-00003.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    assert "unchanged" not in run(crawl, out, tiny_model)
    assert contents(out) == expected
    assert [path.name for path, time_ns in before.items() if path.stat().st_mtime_ns != time_ns] == [part.name]


def test_another_job_is_refused_unless_told_to_start_over(tmp_path, crawl, tiny_model, expected):
    mine, out = tmp_path / "crawl", tmp_path / "out"
    mine.mkdir()
    for path in crawl.iterdir():
        (mine / path.name).write_bytes(path.read_bytes())
    run(mine, out, tiny_model)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(NetralError, match="other settings") as caught:
        run(mine, out, tiny_model, extra=["label.shard_bytes=40000"])
    assert "--overwrite" in caught.value.next_step
    with pytest.raises(NetralError, match="other backend"):
        run(mine, out, tiny_model, backend="torch")
    with pytest.raises(NetralError, match="other model"):
        run(mine, out, ROOT / "inference" / "default_model")
    assert run(mine, out, tiny_model, backend="auto")["unchanged"]  # what was resolved stays
    with (mine / "b.jsonl").open("a") as stream:
        stream.write('{"text": "ASN netral."}\n')
    with pytest.raises(NetralError, match=r"other inputs \(.*b\.jsonl\)"):
        run(mine, out, tiny_model)
    found = run(mine, out, tiny_model, overwrite=True)
    assert found["counts"]["rows_in"] == expected["counts"]["rows_in"] + 1
    assert (out / "notes.txt").read_text() == "mine"


def test_a_foreign_folder_is_left_alone(tmp_path, crawl, tiny_model):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NetralError, match="not replaced"):
        run(crawl, tmp_path, tiny_model, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("cause", ["unknown backend", "nothing usable"])
def test_a_job_that_cannot_begin_leaves_nothing(tmp_path, tiny_model, cause):
    (tmp_path / "in").mkdir()
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"teks": "ASN"}, {"text": "Baca juga: Judul"}])
    with pytest.raises(NetralError, match="abacus" if cause == "unknown backend" else "a.jsonl:1: missing_field"):
        run(tmp_path / "in", tmp_path / "out", tiny_model, backend="abacus" if cause == "unknown backend" else "fake")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# ---- disk


def test_no_room_for_a_part(tmp_path, crawl, tiny_model, expected):
    """The largest file that may be written is smaller than a part: as on a full disk, the write fails."""
    out = tmp_path / "out"
    found = finished(crawl, out, tiny_model, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000)))
    assert found.returncode == 2, found.stderr
    assert re.search(r"out/part-\d+\.parquet: cannot be written", found.stderr)
    assert "finished shards are kept" in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(out.glob(".*.tmp"))
    assert finished(crawl, out, tiny_model).returncode == 0
    assert contents(out) == expected


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for a few shards only."""
    path = tmp_path / "disk"
    path.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", path], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(["umount", path], check=True)


def remount(path, options):
    subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)


def test_a_full_disk(small_disk, crawl, tiny_model, expected):
    out = small_disk / "out"
    found = finished(crawl, out, tiny_model)
    assert found.returncode == 2, found.stderr
    assert "No space left" in found.stderr
    assert "Traceback" not in found.stderr
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 0 < len(markers(out)) < len(expected["markers"])
    remount(small_disk, "size=64m")
    assert finished(crawl, out, tiny_model).returncode == 0
    assert contents(out) == expected
    assert all(
        (out / f"part-{m['shard']:05d}.parquet").stat().st_mtime_ns == kept[f"part-{m['shard']:05d}.parquet"] for m in markers(out)[:1]
    )


def test_a_read_only_disk(small_disk, crawl, tiny_model):
    (small_disk / "out").mkdir()
    remount(small_disk, "ro")
    with pytest.raises(NetralError, match="Read-only"):
        run(crawl, small_disk / "out", tiny_model)
    with pytest.raises(NetralError, match="Read-only"):
        run(crawl, small_disk / "other", tiny_model)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_a_folder_without_permission(tmp_path, crawl, tiny_model):
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(NetralError, match="may write"):
        run(crawl, tmp_path / "out", tiny_model)


def test_a_folder_below_a_file(tmp_path, crawl, tiny_model):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NetralError, match="Not a directory"):
        run(crawl, tmp_path / "file" / "out", tiny_model)


# ---- inputs that change


def grow(path):
    with path.open("a") as stream:
        stream.write('{"text": "ASN netral."}\n')


@pytest.mark.parametrize(("change", "word"), [(grow, "changed"), (os.unlink, "vanished")])
def test_an_input_that_changes_while_it_is_read(tmp_path, crawl, tiny_model, expected, monkeypatch, change, word):
    mine, out = tmp_path / "crawl", tmp_path / "out"
    mine.mkdir()
    for path in crawl.iterdir():
        (mine / path.name).write_bytes(path.read_bytes())
    after_first_shard(monkeypatch, lambda: change(mine / "c.jsonl"))
    with pytest.raises(NetralError, match=rf"c\.jsonl: {word}") as caught:
        run(mine, out, tiny_model)
    assert "--overwrite" in caught.value.next_step
    assert not (out / "summary.json").exists()
    assert all(OutputFolder(out).done(marker["shard"]) for marker in markers(out))
    assert not list(out.glob(".*.tmp"))
    with pytest.raises(NetralError, match=r"other inputs \(.*c\.jsonl\)"):
        run(mine, out, tiny_model)
    run(mine, out, tiny_model, overwrite=True)


def after_first_shard(monkeypatch, act):
    real, done = OutputFolder.publish, []

    def publish(self, *args):
        real(self, *args)
        if not done:
            done.append(True)
            act()

    monkeypatch.setattr(OutputFolder, "publish", publish)


# ---- workers


@pytest.fixture
def in_workers(tmp_path_factory, monkeypatch):
    """Runs code in each worker when it starts: Python imports `sitecustomize` by itself."""

    def install(body):
        folder = tmp_path_factory.mktemp("hook")
        hook = f"import os, signal, sys\nif 'spawn_main' in ' '.join(sys.orig_argv):\n    from inference.predictor import Predictor\n{body}"
        (folder / "sitecustomize.py").write_text(hook)
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}")

    return install


def instead_of_attempt(text, action):
    """Code that acts when a worker is to score a sentence with a certain text."""
    return f"""
    real = Predictor.attempt
    def attempt(self, sentences):
        sentences = list(sentences)
        if any({text!r} in each for each in sentences):
            {action}
        return real(self, sentences)
    Predictor.attempt = attempt
"""


DIE = "os.kill(os.getpid(), signal.SIGKILL)"


def test_a_worker_that_is_killed_is_replaced(tmp_path, crawl, tiny_model, expected, monkeypatch):
    def kill_workers():
        for worker in multiprocessing.active_children():
            if worker.name == "netral-worker":
                os.kill(worker.pid, signal.SIGKILL)

    after_first_shard(monkeypatch, kill_workers)
    run(crawl, tmp_path / "out", tiny_model)
    assert contents(tmp_path / "out") == expected


def test_a_worker_that_dies_once_of_a_shard(tmp_path, crawl, tiny_model, expected, in_workers):
    """As when the memory was short for a moment: the shard is done row by row, with the same result."""
    in_workers(
        instead_of_attempt("Bupati", f"if not os.path.exists({str(tmp_path / 'dead')!r}): open({str(tmp_path / 'dead')!r}, 'w'); {DIE}")
    )
    run(crawl, tmp_path / "out", tiny_model, workers=1)
    assert (tmp_path / "dead").exists()
    assert contents(tmp_path / "out") == expected


def poisoned(folder, crawl, count):
    """A copy of the crawl with articles that kill every worker that scores them."""
    folder.mkdir()
    for path in crawl.iterdir():
        rows = path.read_text().splitlines()
        if path.name == "b.jsonl":
            rows[30:30] = [json.dumps({"id": f"deadly-{i}", "text": "Berita yang mematikan. Ia pergi."}) for i in range(count)]
        (folder / path.name).write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize(("action", "detail"), [(DIE, "exit code -9"), ("raise ValueError('boom')", "ValueError: boom")])
def test_an_article_that_kills_every_worker_is_rejected(tmp_path, crawl, tiny_model, expected, in_workers, capfd, action, detail):
    in_workers(instead_of_attempt("mematikan", action))
    found = run(poisoned(tmp_path / "crawl", crawl, 2), tmp_path / "out", tiny_model)
    assert found["counts"]["rejects"] == {**expected["counts"]["rejects"], "worker_died": 2}
    assert found["counts"]["sentences_out"] == expected["counts"]["sentences_out"]
    rejects = [row for row in read_jsonl(tmp_path / "out" / "rejects.jsonl") if row["reason"] == "worker_died"]
    assert [(row["row"], row["id"]) for row in rejects] == [(31, "deadly-0"), (32, "deadly-1")]
    assert all(detail in row["detail"] for row in rejects)
    assert capfd.readouterr().err.count("done again, row by row") == 3


def test_a_shard_that_kills_too_many_stops_the_job(tmp_path, crawl, tiny_model, expected, in_workers):
    in_workers(instead_of_attempt("mematikan", DIE))
    mine = poisoned(tmp_path / "crawl", crawl, 9)
    with pytest.raises(NetralError, match="over this shard"):
        run(mine, tmp_path / "out", tiny_model, workers=1)
    assert 0 < len(markers(tmp_path / "out")) < len(expected["markers"])
    assert not list((tmp_path / "out").glob(".*.tmp"))


def test_workers_that_die_at_their_start(tmp_path, crawl, tiny_model, in_workers):
    in_workers(f"    {DIE}")
    with pytest.raises(NetralError, match="at its start"):
        run(crawl, tmp_path / "out", tiny_model)
    assert not (tmp_path / "out").exists()


# ---- signals, locks, slices


@pytest.fixture
def stuck(in_workers, crawl):
    """Workers that wait for ever in the third file, so that a job stays where it is."""
    last = json.loads((crawl / "c.jsonl").read_text().splitlines()[-1])["text"]
    in_workers(instead_of_attempt(last.split(".")[0], "signal.pause()"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_to_the_whole_group(tmp_path, crawl, tiny_model, expected, stuck, monkeypatch, number, code):
    out = tmp_path / "out"
    with started(crawl, out, tiny_model) as process:
        assert wait_until(lambda: len(list(out.glob("part-*"))) >= 5, process)
        workers = children(process.pid)
        kill_group(process, number)
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == code
        assert "Traceback" not in errors
        wait_until(lambda: not any(map(is_alive, workers)))
    assert not list(out.rglob(".*.tmp"))
    assert len(markers(out)) >= 4
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run(crawl, out, tiny_model)
    assert contents(out) == expected


def test_a_second_job_is_refused_and_a_dead_one_holds_nothing(tmp_path, crawl, tiny_model, expected, stuck, monkeypatch):
    out = tmp_path / "out"
    with started(crawl, out, tiny_model) as process:
        assert wait_until(lambda: len(list(out.glob("part-*"))) >= 5, process)
        for part in (None, Slice(1, 2)):
            with pytest.raises(NetralError, match="another job is at work"):
                run(crawl, out, tiny_model, part=part, overwrite=True)
        process.kill()
        process.wait()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run(crawl, out, tiny_model)
    assert contents(out) == expected


def test_slices_in_any_order_make_the_whole(tmp_path, crawl, tiny_model, expected):
    out = tmp_path / "out"
    assert run(crawl, out, tiny_model, part=Slice(3, 3))["unfinished"] > 0
    assert run(crawl, out, tiny_model, part=Slice(1, 3))["unfinished"] > 0
    assert run(crawl, out, tiny_model, part=Slice(1, 3))["unfinished"] > 0
    assert not (out / "summary.json").exists()
    assert run(crawl, out, tiny_model, part=Slice(2, 3))["counts"] == expected["counts"]
    assert contents(out) == expected
    assert run(crawl, out, tiny_model)["unchanged"]


def test_slices_at_the_same_time(tmp_path, crawl, tiny_model, expected):
    out = tmp_path / "out"
    with started(crawl, out, tiny_model, "--shard", "1/3") as a, started(crawl, out, tiny_model, "--shard", "2/3") as b:
        assert finished(crawl, out, tiny_model, "--shard", "3/3").returncode == 0
        assert [a.wait(DEADLINE_S), b.wait(DEADLINE_S)] == [0, 0]
    assert contents(out) == expected


def test_a_slice_at_work_is_not_started_over_under_its_feet(tmp_path, crawl, tiny_model, stuck):
    out = tmp_path / "out"
    with started(crawl, out, tiny_model, "--shard", "1/2") as process:
        assert wait_until(lambda: list(out.glob("part-*")), process)
        with pytest.raises(NetralError, match="other settings") as caught:
            run(crawl, out, tiny_model, part=Slice(2, 2), extra=["label.shard_bytes=40000"], overwrite=True)
        assert "at work" in caught.value.next_step


# ---- what the command says


def test_rejects_over_the_limit_end_with_3_and_everything_written(tmp_path, crawl, tiny_model, expected):
    limit = sum(expected["counts"]["rejects"].values())
    for _ in ("made", "up to date"):
        found = finished(crawl, tmp_path / "out", tiny_model, "--max-rejects", limit - 1, "--log", "json")
        assert found.returncode == 3, found.stderr
        assert [json.loads(line) for line in found.stderr.splitlines()][-1]["level"] == "error"
        assert contents(tmp_path / "out") == expected
    assert finished(crawl, tmp_path / "out", tiny_model, "--max-rejects", limit).returncode == 0


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--workers", "0"], "--workers 0"),
        (["--shard", "4/3"], "--shard 4/3"),
        (["--log", "xml"], "--log xml"),
        (["--rejects", "r.jsonl"], "--rejects"),
    ],
)
def test_mistakes(tmp_path, crawl, tiny_model, extra, message):
    found = finished(crawl, tmp_path / "out", tiny_model, *extra)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out").exists()


def test_standard_input_goes_to_a_file_only(tmp_path, tiny_model):
    with pytest.raises(NetralError, match="standard input"):
        run("-", tmp_path / "out", tiny_model)
    with pytest.raises(NetralError, match="only for an output folder"):
        label(["-"], str(tmp_path / "o.jsonl"), load_config(), workers=2)
