"""Commands that show, check and describe configuration files."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import PLAIN, ConfigFile, Overrides, app
from netral.progress import say

config_app = typer.Typer(help="Show, check and describe configuration files.", **PLAIN)
app.add_typer(config_app, name="config")


@config_app.command("show")
def config_show(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Print every setting with its value, defaults included."""
    import yaml

    from netral.config import load_config

    print(yaml.safe_dump(load_config(config, overrides).model_dump(), sort_keys=False, allow_unicode=True), end="")


@config_app.command("check")
def config_check(files: Annotated[list[Path], typer.Argument(help="YAML files.")]) -> None:
    """Check configuration files."""
    from netral.config import load_config

    for path in files:
        load_config(path)
        say(f"{path}: ok")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of configuration files, for editors."""
    import json

    from netral.config import Config

    print(json.dumps(Config.model_json_schema(), indent=2))
