"""Makes one HTML file of a template, style sheets, scripts and data; shared by all pages.

What keeps hostile text from running: the template engine escapes, data travels as JSON or compressed and reaches the page as text
nodes, and the page's own policy (Content-Security-Policy) allows nothing but the scripts and style sheets of this package, by their hash.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from netral.errors import NetralError


def render(
    package: str, template: str, *, title: str, styles: Sequence[str], scripts: Sequence[str], packed: Any = None, **context: Any
) -> str:
    """Render a template (which extends ``base.html``) as one file that needs nothing else.

    Args:
        package: Whose ``templates/`` and ``static/`` hold what is named here; what it lacks is taken from netral.pages.
        template: Its file name.
        title: Title of the page.
        styles: Style sheets; ``base.css`` with the colours comes first, whatever is named.
        scripts: Scripts, in this order within one function; none if empty.
        packed: Data for the script's ``unpack("packed")``: JSON, deflated. None leaves it out.
        context: What the template shows; escaped.

    Raises:
        NetralError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from jinja2.loaders import FunctionLoader
        from markupsafe import Markup
    except ImportError:
        raise NetralError("pages need jinja2, which is not installed", "pip install 'netral[pages]'") from None
    loader = FunctionLoader(lambda name: _text(package, "templates", name))
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = "\n".join(_text(package, "static", name) for name in ("base.css", *styles))
    script = '"use strict";\n(() => {\n' + "\n".join(_text(package, "static", name) for name in scripts) + "\n})();\n" if scripts else ""
    given = {"style": Markup(style), "script": Markup(script), "policy": policy(style, script)}  # noqa: S704 - this package's own files
    data = None if packed is None else pack(packed)
    return environment.get_template(template).render(title=title, packed=data, **given, **context)


def _text(package: str, folder: str, name: str) -> str:
    own = files(package).joinpath(folder, name)
    return (own if own.is_file() else files(__package__).joinpath(folder, name)).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """Return the page's Content-Security-Policy: this style sheet, this script, no address at all.

    >>> policy("", "")
    "default-src 'none'; base-uri 'none'; form-action 'none'"
    """
    allowed = [f"{kind}-src 'sha256-{_digest(text)}'" for kind, text in (("style", style), ("script", script)) if text]
    return "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def pack(data: Any) -> str:
    """Write data as JSON, deflated, in base64: about a third of the JSON, and no character that HTML could read as markup.

    >>> zlib.decompress(base64.b64decode(pack({"a": "</script>"})))
    b'{"a":"</script>"}'
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")
