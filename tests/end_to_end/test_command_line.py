"""The `netral` command as a user types it, in a process of its own."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest
from support import ROOT, read_jsonl, write_jsonl

ENV = {**os.environ, "COLUMNS": "200"}


def netral(*args, stdin=None, env=None):
    command = [sys.executable, "-c", "from netral.cli import main; main()", *map(str, args)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, env={**ENV, **(env or {})}, timeout=300, cwd=ROOT)


def test_version_and_help():
    assert netral("--version").stdout.startswith("netral ")
    text = netral("--help").stdout
    assert all(
        name in text for name in ("prepare", "train", "search", "evaluate", "label", "split", "verify", "cite", "annotate", "config")
    )


def test_exit_codes_are_documented_where_they_are_looked_for():
    assert all(code in netral("label", "--help").stdout for code in ("0 all done", "2 wrong", "3 finished", "130 interrupted"))


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom netral.cli import app\nfrom typer.testing import CliRunner\n"
        "CliRunner().invoke(app, ['--help'])\n"
        "print([m for m in ('torch', 'transformers', 'pyarrow', 'datasets', 'numpy', 'pydantic', 'sklearn') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"


def test_packages_shared_by_both_stages_are_light():
    code = "import sys, netral.config, netral.io.readers, netral.io.writers, netral.text, netral.model_folder, inference.jobs.job\n"
    code += "print([m for m in ('torch', 'transformers', 'datasets', 'sklearn', 'evaluate', 'accelerate') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"


def test_a_batch_node_needs_no_training_extra(tmp_path, tiny_model):
    """`netral label` runs with the packages of the training extra hidden."""
    write_jsonl(tmp_path / "a.jsonl", [{"sentence": "ASN harus netral."}])
    code = (
        "import sys\n"
        "for name in ('datasets', 'evaluate', 'sklearn', 'accelerate', 'scipy'): sys.modules[name] = None\n"
        "sys.argv = ['netral', *sys.argv[1:]]\nfrom netral.cli import main\nmain()"
    )
    args = ["label", str(tmp_path / "a.jsonl"), "--model", str(tiny_model), "--out", str(tmp_path / "o.jsonl")]
    found = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    assert len(read_jsonl(tmp_path / "o.jsonl")) == 1


def test_label_from_stdin_to_stdout(tiny_model):
    lines = '{"sentence":"ASN harus netral.","id":"a"}\n{"text":"Ia pergi. Mereka datang.","id":"b"}\nrubbish\n'
    found = netral("label", "-", "--out", "-", "--model", tiny_model, "--backend", "fake", stdin=lines)
    assert found.returncode == 0
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [row["sentence_id"] for row in rows] == ["a", "b:1", "b:2"]
    assert "not_json" in found.stderr
    assert "-:3" in found.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["label", "missing.txt", "--out", "o.jsonl"], "missing.txt"),
        (["label", "README.md", "--out", "o.jsonl"], "not a format"),
        (["label", "examples/articles", "--out", "OUT", "--model", "nowhere"], "nowhere"),
        (["label", "examples/articles", "--out", "OUT", "--model", "configs"], "not a netral model folder"),
        (["label", "examples/articles", "--out", "OUT", "--backend", "abacus"], "abacus"),
        (["label", "examples/articles", "--out", "OUT", "--set", "label.batch_token=3"], "label.batch_tokens"),
        (["label", "examples/articles", "--out", "README.md/x.jsonl", "--backend", "fake"], "README.md"),
        (["label", "-", "examples/articles", "--out", "OUT"], "mixed"),
        (["label", "examples/articles", "--out", "o.json", "--backend", "fake"], "not an output format"),
        (["split", "examples/articles", "--out", "o.parquet"], "JSON lines"),
        (["train", "-c", "missing.yaml", "--out", "OUT"], "missing.yaml"),
        (["train", "-c", "configs/recipes/mini.yaml", "--data", "configs", "--out", "OUT"], "no prepared data set"),
        (["train", "-c", "configs/recipes/mini.yaml", "--seeds", "1", "--out", "OUT"], "--seeds"),
        (["search", "-c", "configs/recipes/mini.yaml", "--data", "configs", "--out", "OUT"], "no prepared data set"),
        (["evaluate", "configs", "--out", "OUT"], "not a netral model folder"),
        (["evaluate", "inference/default_model", "--split", "dev", "--out", "OUT"], "split dev"),
        (["evaluate", "inference/default_model", "cases", "--out", "OUT"], "--behaviour"),
        (["evaluate", "inference/default_model", "--behaviour", "nowhere", "--out", "OUT"], "nowhere"),
        (["prepare", "-", "--out", "OUT"], "standard input"),
        (["prepare", "examples/articles", "--out", "OUT"], "no sentence with a gold label"),
        (["annotate", "export", "README.md", "--format", "csv", "--n", "5", "--out", "OUT"], "not a format"),
        (["annotate", "import", "configs/base.yaml", "--out", "OUT"], "base.yaml:1: no JSON"),
        (["config", "check", "README.md"], "README.md"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_mistakes_end_with_a_message_and_code_2(tmp_path, args, message):
    args = [str(tmp_path / "out.jsonl") if arg == "OUT" else arg for arg in args]
    found = netral(*args)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_refused(tmp_path):
    (tmp_path / "o.jsonl").write_text("mine\n")
    found = netral("label", "examples/articles", "--out", tmp_path / "o.jsonl", "--backend", "fake")
    assert found.returncode == 2
    assert "--overwrite" in found.stderr
    assert (tmp_path / "o.jsonl").read_text() == "mine\n"


def test_an_output_that_cannot_be_written_is_no_traceback():
    found = netral("split", "examples/articles", "--out", "/dev/full/x.jsonl")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr


def test_standard_output_is_utf8_whatever_the_locale():
    found = subprocess.run(
        [sys.executable, "-c", "from netral.cli import main; main()", "split", "examples/articles", "--out", "-"],
        capture_output=True,
        cwd=ROOT,
        env={**ENV, "PYTHONIOENCODING": "latin-1"},
    )
    assert found.returncode == 0, found.stderr
    assert "“" in found.stdout.decode("utf-8")


def test_interrupting_leaves_nothing_and_exits_with_130(tmp_path, tiny_model):
    """The reader has one row, so the job is under way; then Ctrl-C."""
    args = ["label", "-", "--out", "-", "--model", str(tiny_model), "--backend", "fake", "--rejects", str(tmp_path / "r.jsonl")]
    command = [sys.executable, "-c", "from netral.cli import main; main()", *args, "--set", "label.window=1"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENV)
    process.stdin.write('{"sentence":"ASN netral."}\n' * 3)
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["sentence"] == "ASN netral."
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_traceback(tiny_model):
    args = ["label", "-", "--out", "-", "--model", str(tiny_model), "--backend", "fake", "--set", "label.window=1"]
    command = [sys.executable, "-c", "from netral.cli import main; main()", *args]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENV)
    process.stdin.write('{"sentence":"ASN netral."}\n' * 100)
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    process.stdin.close()
    assert "Traceback" not in process.stderr.read()
    process.wait()


def test_pages_and_archives_are_labelled_and_proved(tmp_path):
    """The command of the README, then `netral verify` before and after a source changes."""
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    page = (ROOT / "tests/data/pages/agency.html").read_bytes()
    (tmp_path / "page.html").write_bytes(page)
    with (tmp_path / "crawl.warc.gz").open("wb") as stream:
        writer = WARCWriter(stream)
        headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        record = writer.create_warc_record("https://warta.example/1", "response", payload=io.BytesIO(page), http_headers=headers)
        writer.write_record(record)
    out = tmp_path / "out.parquet"
    found = netral("label", tmp_path / "page.html", tmp_path / "crawl.warc.gz", "--out", out, "--backend", "fake")
    assert found.returncode == 0, found.stderr
    proved = netral("verify", out)
    assert (proved.returncode, proved.stdout) == (0, ""), proved.stderr
    (tmp_path / "page.html").write_bytes(page.replace(b"tujuh laporan", b"enam laporan"))
    changed = netral("verify", out)
    assert changed.returncode == 1
    assert "digest_differs: page:1 from" in changed.stdout
    assert "crawl" not in changed.stdout


def test_config_commands():
    shown = netral("config", "show", "-c", "configs/recipes/mini.yaml", "--set", "train.epochs=2").stdout
    assert "epochs: 2" in shown
    assert netral("config", "check", *sorted(map(str, (ROOT / "configs").rglob("*.yaml")))).returncode == 0
    assert json.loads(netral("config", "schema").stdout)["title"] == "Config"


def test_the_whole_way_through_the_command_line(tmp_path, small_articles, tiny_encoder):
    gold = f"prepare.gold={ROOT / 'data/gold/labels.jsonl'}"
    tiny = ["-c", "configs/recipes/tiny.yaml", "--set", gold, "--set", f"model.encoder={tiny_encoder}"]
    steps = [
        ["prepare", small_articles, *tiny, "--out", tmp_path / "data"],
        ["train", *tiny, "--data", tmp_path / "data", "--out", tmp_path / "model"],
        ["evaluate", tmp_path / "model", *tiny, "--data", tmp_path / "data", "--out", tmp_path / "report", "--behaviour"],
        ["label", "examples/articles", "--model", tmp_path / "model", "--out", tmp_path / "labelled.jsonl"],
    ]
    for step in steps:
        found = netral(*step)
        assert found.returncode == 0, found.stderr
    for step in steps:
        assert "nothing to do" in netral(*step).stderr
    summary = subprocess.run([sys.executable, "-m", "training.demo_summary", str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert "macro F1" in summary.stdout
    assert "## Behaviour" in (tmp_path / "report" / "report.md").read_text()
    assert "sentences per second" in summary.stdout
