"""The model card with the figures of a report, and its upload to a hub that this test plays itself on the loopback."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import ModelCard
from support import ROOT

from netral.errors import NetralError
from netral.model_folder import open_model_folder
from training.evaluation.assess import evaluate
from training.release.card import rewrite_card
from training.release.push import check

KEY = "hf_notarealtoken"


@pytest.fixture(scope="module")
def report(tmp_path_factory, tiny_model, small_data, tiny_config):
    out = tmp_path_factory.mktemp("evaluated") / "report"
    evaluate(tiny_model, small_data, out, tiny_config)
    return out


@pytest.fixture
def model(tmp_path, tiny_model):
    return shutil.copytree(tiny_model, tmp_path / "model")


@pytest.fixture
def released(model, report):
    rewrite_card(model, report)
    return model


def test_a_fresh_model_says_that_it_was_not_evaluated(tiny_model):
    card = ModelCard.load(tiny_model / "README.md")
    assert "Not evaluated" in card.text
    assert card.data.to_dict() == {"language": "id", "library_name": "transformers", "pipeline_tag": "text-classification"}
    run = json.loads((tiny_model / "run.json").read_text())
    for label, n in run["counts"]["positives"].items():
        assert f"{n} `{label}`" in card.text
    assert str(tiny_model.parent.parent) not in card.content


def test_the_card_holds_the_report_and_leaves_the_model_what_it_is(model, report):
    before = open_model_folder(model).fingerprint
    assert rewrite_card(model, report).fingerprint == before == open_model_folder(model).fingerprint
    figures = json.loads((report / "report.json").read_text())
    card = ModelCard.load(model / "README.md")
    results = {each.metric_name: each.metric_value for each in card.data.eval_results}
    labels = figures["systems"]["model"]["labels"]
    assert results == {"macro F1": figures["systems"]["model"]["macro_f1"], **{f"F1 {k}": v["f1"] for k, v in labels.items()}}
    weakest = min(labels, key=lambda label: (labels[label]["f1"], label))
    assert f"Weakest label: `{weakest}`" in card.text
    for label, each in labels.items():
        assert f"| `{label}` | {each['support']} | {each['f1']:.2f} [" in card.text
    written = (model / "README.md").read_bytes()
    rewrite_card(model, None)  # from the report that is in the model by now
    assert (model / "README.md").read_bytes() == written


def test_the_use_shown_on_the_card_works(released):
    code = ModelCard.load(released / "README.md").text.split("```python\n")[1].split("```")[0]
    found = subprocess.run([sys.executable, "-c", code.replace("MODEL_DIR", str(released))], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr


def test_a_report_of_another_model_is_refused(model, report):
    decision = json.loads((model / "decision.json").read_text())
    decision["thresholds"]["warning"] = 0.5123
    (model / "decision.json").write_text(json.dumps(decision))
    before = (model / "README.md").read_bytes()
    with pytest.raises(NetralError, match="of the model"):
        rewrite_card(model, report)
    assert not (model / "report.json").exists()
    assert (model / "README.md").read_bytes() == before
    with pytest.raises(NetralError, match="no report of"):
        rewrite_card(model, model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: (m / "report.json").unlink(), "no report"),
        (lambda m: (m / "README.md").unlink(), "no report"),
        (lambda m: (m / "README.md").write_text("my own"), "not the card of report.json"),
        (lambda m: (m / "training_args.bin").write_bytes(b"PK\3\4"), "training_args.bin"),
        (
            lambda m: (m / "exports/openvino-fp32").mkdir(parents=True) or (m / "exports/openvino-fp32/a.bin").write_bytes(b"\x80\2ab"),
            "a.bin",
        ),
        (lambda m: (m / "checkpoint-8").mkdir() or (m / "checkpoint-8/model.safetensors").write_bytes(b""), "checkpoint-8"),
        (lambda m: (m / "model.pkl").write_bytes(b""), "model.pkl"),
        (lambda m: (m / ".env").write_text("HF_TOKEN=x"), ".env"),
        (lambda m: (m / "vocab.txt").symlink_to("/etc/hostname"), "vocab.txt"),
        (lambda m: _edit_report(m, "validation"), "validation split"),
    ],
)
def test_what_is_no_released_model_is_refused(released, change, message):
    check(released)
    change(released)
    with pytest.raises(NetralError, match=message):
        check(released)


def _edit_report(model, split):
    report = json.loads((model / "report.json").read_text())
    report["data"]["split"] = split
    (model / "report.json").write_text(json.dumps(report))


class Hub(BaseHTTPRequestHandler):
    """The part of a hub's interface that an upload calls."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hub = self.server
        hub.calls.append(self.path)
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self.answer({"error": "who are you"}, 401)
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            hub.repo = f"{wanted['organization']}/{wanted['name']}"
            if hub.exists:
                return self.answer({"error": "exists", "url": f"{hub.url}/{hub.repo}"}, 409)
            hub.private = wanted.get("visibility") == "private" or wanted.get("private") is True
            return self.answer({"url": f"{hub.url}/{hub.repo}"})
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            large = [file["path"].endswith((".safetensors", ".bin")) for file in json.loads(body)["files"]]
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {"path": p, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False} for p, lfs in zip(paths, large, strict=True)
            ]
            return self.answer({"files": modes})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [{**each, "actions": {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}} for each in json.loads(body)["objects"]]
            return self.answer({"transfer": "basic", "objects": objects})
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    hub.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    hub.files[value["path"]] = hub.large[value["oid"]]
                else:
                    hub.message = value["summary"]
            return self.answer({"commitUrl": f"{hub.url}/{hub.repo}/commit/abc", "commitOid": "abc", "success": True})
        return self.answer({"error": "unknown"}, 404)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.removeprefix("/lfs/")
        assert hashlib.sha256(body).hexdigest() == oid
        assert "Authorization" not in self.headers  # the store behind a hub is another host
        self.server.large[oid] = body
        self.answer({})

    def do_GET(self):
        self.server.calls.append(self.path)
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self.answer({"error": "who are you"}, 401)
        return self.answer({"id": self.server.repo, "private": self.server.private, "siblings": [], "tags": [], "sha": "abc"})

    def answer(self, content, status=200):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.calls, server.files, server.large = [], {}, {}
    server.exists = server.private = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def push(hub, model, *options, key=KEY):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    # Without xet, whose store is a service of its own; the older protocol is one that a test can play.
    environment |= {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(model.parent / "hf")}
    environment |= {"HF_TOKEN": key} if key else {}
    # A token that the user stored for other programs is not taken.
    (model.parent / "hf").mkdir(exist_ok=True)
    (model.parent / "hf" / "token").write_text("hf_stored")
    command = [sys.executable, "-c", "from netral.cli import main; main()", "push", str(model), "desa/netral", *options]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert "Traceback" not in found.stderr
    assert not key or key not in found.stdout + found.stderr
    return found


def test_a_push_uploads_exactly_the_folder(hub, released):
    found = push(hub, released, "--private")
    assert found.returncode == 0, found.stderr
    assert f"{hub.url}/desa/netral/commit/abc" in found.stderr
    assert hub.files == {path.name: path.read_bytes() for path in released.iterdir()}
    assert [name for name in hub.files if name.endswith(".safetensors")]
    assert hub.private
    assert open_model_folder(released).fingerprint in hub.message


def test_a_push_without_token_report_or_right_sends_no_file(hub, model, report):
    assert push(hub, model).returncode == 2
    assert hub.calls == []
    rewrite_card(model, report)
    found = push(hub, model, key="")
    assert (found.returncode, hub.calls) == (2, [])
    assert "HF_TOKEN" in found.stderr
    found = push(hub, model, key="hf_wrong")
    assert found.returncode == 2
    assert "401" in found.stderr
    assert hub.calls == ["/api/repos/create", "/api/models/desa/netral"]  # the client looks whether it is there already


def test_a_hub_that_cannot_be_reached_is_no_traceback(hub, released):
    address = hub.url
    hub.url = "http://127.0.0.1:9"  # nothing listens there
    found = push(hub, released)
    hub.url = address
    assert (found.returncode, hub.calls) == (2, [])
    assert "could not be reached" in found.stderr


def test_a_public_repository_is_not_taken_for_a_private_one(hub, released):
    hub.exists = True
    found = push(hub, released, "--private")
    assert found.returncode == 2
    assert "public" in found.stderr
    assert hub.files == {}
    assert push(hub, released).returncode == 0  # asked for without --private, it is the place
