"""How text from anywhere is written on a page."""

import re

from netral.text.normalise import normalise

_HALF_SURROGATE = re.compile("[\ud800-\udfff]")


def whole_unicode(text: str) -> str:
    r"""Replace half surrogates, which JSON may hold and no file in UTF-8 can, by U+FFFD.

    >>> whole_unicode("a\ud800b") == "a\ufffdb"
    True
    """
    return _HALF_SURROGATE.sub("\ufffd", text)


def readable(text: str) -> str:
    r"""Write a stretch as a reader sees it: entities as characters, any run of spaces as one.

    >>> readable("UU&nbsp;ASN\n berlaku ")
    'UU ASN berlaku '
    """
    return re.sub(r"\s+", " ", normalise(text).text)
