"""From a web page to its article: character set, main text, title, date, author, outlet, address.

trafilatura finds the main text. The JSON-LD that many portals put into their pages for search engines holds the text too; it is
taken where trafilatura lost part of it. Needs the extra `crawl`.
"""

import codecs
import html
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from netral.errors import NetralError

# Work grows with the square of these, measured with trafilatura 2.3.1 and libxml2 2.14: 80,000 paragraphs took 41 s, 20,000 1.5 s;
# a tag with 100,000 attributes 347 s, with 10,000 0.3 s. Portals' pages have some thousand tags and dozens of attributes.
_MAX_TAGS = 60_000
_MAX_ATTRIBUTES = 500
# Attribute after attribute the way HTML5 reads a start tag. Possessive, so that it cannot backtrack; a name without "<", so that
# it is not tried again and again over one stretch.
_VALUE = rb"(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>]*+))?+"
_CROWDED_TAG = re.compile(rb"<[a-zA-Z][^\s/><]*+(?:[\s/]*+[^\s/>=]++%b){%d}" % (_VALUE, _MAX_ATTRIBUTES))
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# What XML, and so lxml, cannot hold.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ARTICLE_TYPES = ("NewsArticle", "Article", "ReportageNewsArticle", "LiveBlogPosting", "BlogPosting", "AnalysisNewsArticle")
_BLOCK_END = re.compile(r"<br\s*/?>|</(?:p|div|li|h[1-6])>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{1,2000}>")
_WORD = re.compile(r"\w+")
# JSON-LD is better if it has this many times the words of the main text, and this share of the main text's own words.
_LONGER = 1.1
_COVERED = 0.8
# So much longer, and what trafilatura found is a notice beside an empty page.
_FAR_LONGER = 3
# Blocks of Indonesian portals that trafilatura does not know as boilerplate, by a part of their class or id.
_JUNK_NAMES = ("komentar",)
_JUNK = [f"//*[contains(@class, '{name}') or contains(@id, '{name}')]" for name in _JUNK_NAMES]
# Fewer words are no article but a notice (`Halaman tidak ditemukan`).
_MIN_WORDS = 5


@dataclass(frozen=True, slots=True)
class Page:
    """An article taken from a page, or the reason why there is none.

    Attributes:
        text: The main text, a paragraph a line.
        title: The headline.
        meta: title, date, author, outlet, url (as the page names itself) where known; ``body_source``: trafilatura or json-ld.
        reason: A short stable name.
        detail: What exactly is wrong, for a person.
    """

    text: str = ""
    title: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


def read_page(data: bytes, charset: str = "", url: str = "") -> Page:
    """Take the article out of a page.

    Args:
        data: The page's bytes.
        charset: What the server declared, if it did.
        url: Where the page was fetched, if known.

    Raises:
        NetralError: The extra `crawl` is not installed.
    """
    if data.count(b"<") > _MAX_TAGS:
        return Page(reason="page_too_complex", detail=f"more than {_MAX_TAGS} tags")
    if _CROWDED_TAG.search(data):
        return Page(reason="page_too_complex", detail=f"a tag with {_MAX_ATTRIBUTES} attributes or more")
    source = _NOT_XML.sub(" ", decode_page(data, charset))
    tree = _parse(source)
    if tree is None:
        return Page(reason="no_main_text", detail="not HTML, or nothing in it")
    linked = _linked_data(tree)
    found = _main_text(tree, url)
    text, origin = _better(found.pop("text"), linked.pop("text", ""))
    if len(_WORD.findall(text)) < _MIN_WORDS:
        return Page(reason="no_main_text", detail="no article was found in the page")
    meta = {key: value for key in ("title", "date", "author", "outlet", "url") if (value := linked.get(key) or found.get(key))}
    return Page(text, meta.get("title", ""), meta | {"body_source": origin})


def decode_page(data: bytes, charset: str = "") -> str:
    r"""Decode a page by what its bytes are rather than by what it says they are.

    UTF-8 if they are that, for what is valid UTF-8 with a character beyond ASCII is hardly ever anything else; also if most of
    those characters are, so that one broken byte does not garble the rest. Else the declared character set, by the server before
    the page; Windows-1252 for a wrong one, none, or latin-1, which browsers read as it.

    >>> decode_page("Jum\u2019at".encode("cp1252"), "utf-8"), decode_page("café".encode(), "latin-1")
    ('Jum’at', 'café')
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(name, "replace")
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    # Each is one decoded character of two bytes or more.
    if not broken or sum(len(run) for run in re.findall(r"[^\x00-\x7f\ufffd]+", text)) > broken:
        return text
    declared = _META_CHARSET.search(data[:4096])
    for name in (charset, declared.group(1).decode("ascii", "replace") if declared else ""):
        try:
            codec = codecs.lookup(name)
            if codec.name in ("utf-8", "iso8859-1", "ascii") or not codec._is_text_encoding:
                continue
            return data.decode(name)
        except (LookupError, ValueError):
            continue
    # The five bytes that Windows-1252 leaves open are the control characters of latin-1.
    return data.decode("cp1252", "replace") if not re.search(rb"[\x81\x8d\x8f\x90\x9d]", data) else data.decode("latin-1")


@cache
def _libraries() -> tuple[Any, Any]:
    try:
        import trafilatura
        from lxml import html as lxml_html
    except ImportError as error:
        raise NetralError(f"reading web pages needs {error.name}", "pip install 'netral[crawl]'") from None
    # Without a handler Python prints their warnings about each odd page; what becomes of a page is said by its row or reject.
    for name in ("trafilatura", "htmldate", "courlan"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    return trafilatura, lxml_html


def _parse(source: str) -> Any:
    _, lxml_html = _libraries()
    parser = lxml_html.HTMLParser(collect_ids=False, default_doctype=False, encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        # The parser is told the character set, so what the page declares in itself does not count again.
        tree = lxml_html.document_fromstring(source.encode(), parser=parser)
    except (ValueError, lxml_html.etree.LxmlError):
        return None
    return tree if len(tree) else None


def _main_text(tree: Any, url: str) -> dict[str, str]:
    trafilatura, _ = _libraries()
    try:
        page = trafilatura.bare_extraction(
            tree,
            url=url or None,
            favor_precision=True,
            include_comments=False,
            include_tables=False,
            prune_xpath=_JUNK,
            with_metadata=True,
            # The defaults guess dates from the text, and refuse those after the day of the run: not the same tomorrow.
            date_extraction_params={"original_date": True, "extensive_search": False, "max_date": "2100-01-01"},
        )
    except Exception:  # whatever a broken page makes it raise costs this page alone
        return {"text": ""}
    if page is None:
        return {"text": ""}
    found = {"title": page.title, "date": page.date, "author": page.author, "outlet": page.sitename, "url": page.url}
    return {"text": page.text or ""} | {name: value for name, value in found.items() if value}


def _linked_data(tree: Any) -> dict[str, str]:
    """Read the first article among the page's JSON-LD objects."""
    for script in tree.iterfind(".//script"):
        if "ld+json" not in (script.get("type") or "").lower():
            continue
        try:
            found = _article_in(json.loads(script.text or "", strict=False))
        except (ValueError, RecursionError):
            continue
        if found:
            return found
    return {}


def _article_in(data: Any) -> dict[str, str]:
    for item in _objects(data):
        kinds = item.get("@type")
        if any(kind in _ARTICLE_TYPES for kind in (kinds if isinstance(kinds, list) else [kinds])):
            return _article_fields(item)
    return {}


def _objects(data: Any) -> Iterator[dict[str, Any]]:
    waiting = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict):
            yield item
            waiting += [item[key] for key in ("mainEntityOfPage", "mainEntity", "@graph") if isinstance(item.get(key), list | dict)]


def _article_fields(item: dict[str, Any]) -> dict[str, str]:
    found = {
        "text": _plain(item.get("articleBody")),
        "title": _plain(item.get("headline")).replace("\n", " "),
        "date": _first_text(item.get("datePublished")),
        "author": _first_text(item.get("author")),
        "outlet": _first_text(item.get("publisher")),
    }
    return {name: value for name, value in found.items() if value}


def _first_text(value: Any) -> str:
    """Return the text that a JSON-LD value amounts to: names of people and organisations, joined."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_first_text, value[:20])))
    if isinstance(value, dict):
        value = value.get("name")
    return _plain(value)


def _plain(value: Any) -> str:
    """Take HTML and its entities out of text that JSON-LD holds, paragraphs kept as lines."""
    if not isinstance(value, str):
        return ""
    text = _TAG.sub("", _BLOCK_END.sub("\n", html.unescape(value)))
    lines = (" ".join(line.split()) for line in _NOT_XML.sub(" ", text).splitlines())
    return "\n".join(line for line in lines if line)


def _better(text: str, linked: str) -> tuple[str, str]:
    """Choose between the main text and the JSON-LD body, and name the source.

    JSON-LD is taken if trafilatura found next to nothing (pages that scripts fill), or if it holds what trafilatura found and more:
    then paragraphs were lost (paid articles).
    It is no rule of its own because many portals put only the first lines there, or all on one line.
    """
    words, linked_words = _WORD.findall(text.lower()), _WORD.findall(linked.lower())
    own = set(words)
    longer = len(linked_words) > _LONGER * len(words) and len(own & set(linked_words)) >= _COVERED * len(own)
    return (linked, "json-ld") if longer or len(linked_words) > _FAR_LONGER * len(words) else (text, "trafilatura")
