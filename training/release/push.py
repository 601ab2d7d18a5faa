"""Uploads a model folder to a model hub: `netral push`. The only code of netral that sends anything anywhere, and only when asked."""

import os
import re
from pathlib import Path
from typing import Any

from netral.errors import NetralError
from netral.model_folder import open_model_folder
from netral.provenance import file_digest
from training.release.card import CARD_FILE, REPORT_FILE, read_report

# What belongs to a model, by path in the folder. Everything else (checkpoints, optimiser states, pickles, notes) stays at home.
_OWN = re.compile(
    r"README\.md|NOTICE|LICENSE|(?:run|report|config|decision|text|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|vocab\.txt|merges\.txt|model(?:-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|lexical\.safetensors"
    r"|exports/[a-z]+-[a-z0-9]+/[\w.-]+\.(?:onnx|xml|bin|json|safetensors)"
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]|PK\x03\x04")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def push(model: Path, repo: str, *, private: bool = False) -> str:
    """Create the repository if it is not there, upload the folder in one commit, and return the commit's address.

    The token is taken from HF_TOKEN alone, the hub from HF_ENDPOINT, as huggingface_hub does.

    Raises:
        NetralError: The folder has no report or card of this model, holds files that are no part of a model, there is no token, or
            the hub refuses.
    """
    check(model)
    if not _REPO.fullmatch(repo):
        raise NetralError(f"{repo}: not the name of a repository", "name it OWNER/NAME")
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise NetralError("HF_TOKEN is not set", "put a token of your account that may write into the environment variable HF_TOKEN")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    api = HfApi(token=token, library_name="netral")
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.model_info(repo).private:
            raise NetralError(f"{repo}: is there already, and public", "make it private on the hub first, or choose another name")
        commit: Any = api.upload_folder(
            repo_id=repo, folder_path=model, commit_message=f"netral model {open_model_folder(model).fingerprint}"
        )
    except OfflineModeIsEnabled:
        raise NetralError(f"{repo}: HF_HUB_OFFLINE is set", "unset it to push") from None
    except NetralError:
        raise
    except Exception as error:  # the client and the libraries below it (httpx, hf_xet) have no common class of errors
        raise NetralError(
            f"{repo}: the hub refused or could not be reached ({_told(error, token)})", "check the name, the token's rights and the network"
        ) from None
    return str(commit.commit_url)


def check(model: Path) -> None:
    """Check that a folder is complete, evaluated, and holds nothing but a model.

    Raises:
        NetralError: It is not.
    """
    folder = open_model_folder(model)
    found = [path for path in sorted(model.rglob("*")) if not path.is_dir() or path.is_symlink()]
    strange = [path.relative_to(model).as_posix() for path in found if path.is_symlink() or not _is_own(path, model)]
    if strange:
        raise NetralError(
            f"{model}: holds files that are no part of a model: {', '.join(strange[:5])}{', …' if len(strange) > 5 else ''}",
            "move them elsewhere; nothing was uploaded",
        )
    report_file = model / REPORT_FILE
    if not report_file.is_file() or not (model / CARD_FILE).is_file():
        raise NetralError(
            f"{model}: the model has no report, so nobody could tell how good it is",
            f"netral evaluate {model} --out REPORT, then netral card {model} --report REPORT",
        )
    report = read_report(report_file, folder)
    if report["data"]["split"] != "test":
        raise NetralError(f"{report_file}: of the {report['data']['split']} split", "evaluate on the test split")
    if file_digest(report_file)[:16] not in (model / CARD_FILE).read_text(encoding="utf-8"):
        raise NetralError(f"{model / CARD_FILE}: not the card of {REPORT_FILE}", f"netral card {model}")


def _is_own(path: Path, model: Path) -> bool:
    if not _OWN.fullmatch(path.relative_to(model).as_posix()):
        return False
    if path.suffix != ".bin":
        return True
    # openvino's weights have the suffix that torch's pickles have.
    with path.open("rb") as stream:
        return not _PICKLE.match(stream.read(4))


def _told(error: Exception, token: str) -> str:
    """Return the first line of what went wrong, without the token, whatever it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".replace(token, "***")[:300]
