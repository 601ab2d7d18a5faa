"""Files in object stores and other places that pyarrow or fsspec know by a URI."""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import pyarrow as pa
from pyarrow import fs

from netral.errors import NetralError
from netral.io.paths import input_format, is_sidecar

_URI = re.compile(r"[a-z][a-z0-9+.-]*://")
# Requests to an object store take some 50 ms each; lines are read through this much at a time.
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a file system that is named by a URI; it travels to other machines and opens there.

    Attributes:
        uri: The URI that the user gave, options in its query included.
        path: The file within the file system of that URI.
        bytes: Its size when it was found.
        mtime_ns: Its time of change when it was found; 0 where the store knows none.
    """

    uri: str
    path: str
    bytes: int = 0
    mtime_ns: int = 0

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """The last suffix of its name."""
        return PurePosixPath(self.path).suffix

    @property
    def suffixes(self) -> list[str]:
        """All suffixes of its name."""
        return PurePosixPath(self.path).suffixes

    def shown(self) -> str:
        """Return its own URI, for messages and rejects."""
        return f"{self.uri.split('://', 1)[0]}://{self.path}"

    def changed(self) -> bool:
        """Tell whether its size or time is not what it was, or it is gone."""
        info = filesystem(self.uri)[0].get_file_info(self.path)
        return not info.is_file or (info.size or 0, info.mtime_ns or 0) != (self.bytes, self.mtime_ns)

    def open(self) -> BinaryIO:
        """Open it for reading from the beginning."""
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, self.open_random()), _BUFFER))

    def open_random(self) -> pa.NativeFile:
        """Open it for reading at any place, as Parquet needs it."""
        return filesystem(self.uri)[0].open_input_file(self.path)


def is_uri(name: str) -> bool:
    """Tell a URI from a path.

    >>> is_uri("s3://crawl/2024"), is_uri("crawl/2024")
    (True, False)
    """
    return _URI.match(name) is not None


@cache
def filesystem(uri: str) -> tuple[Any, str]:
    """Return the pyarrow file system of a URI, and the path in it; what pyarrow does not know is asked of fsspec.

    Raises:
        NetralError: Neither knows it.
    """
    try:
        found, path = fs.FileSystem.from_uri(uri)
        return found, path
    except pa.ArrowInvalid as unknown:
        try:
            from fsspec.core import url_to_fs

            other, path = url_to_fs(uri)
        except (ImportError, ValueError) as error:
            raise NetralError(
                f"{uri}: no file system for it ({unknown}; {error})", "use s3://, gs:// or a path, or install the fsspec package for it"
            ) from None
        return fs.PyFileSystem(fs.FSSpecHandler(other)), path


def expand_uris(uris: Iterable[str]) -> list[RemoteFile]:
    """Return the files that URIs of files and folders mean, each once.

    Raises:
        NetralError: There is no such file, or none of a format that is read.
    """
    found: dict[str, RemoteFile] = {}
    for uri in uris:
        for file in _expand(uri):
            found.setdefault(file.shown(), file)
    return list(found.values())


def _expand(uri: str) -> list[RemoteFile]:
    store, path = filesystem(uri)
    try:
        info = store.get_file_info(path)
        if info.type == fs.FileType.Directory:
            listed = [each for each in store.get_file_info(fs.FileSelector(path, recursive=True)) if each.is_file]
            files = [_remote(uri, each) for each in listed if not is_sidecar(each.base_name)]
        else:
            files = [_remote(uri, info)] if info.is_file else []
    except OSError as error:
        raise NetralError(f"{uri}: cannot be read ({error})", "check the address and your credentials") from None
    files = [file for file in files if input_format(file)]
    if not files:
        raise NetralError(
            f"{uri}: no file that netral reads", "check the address (globs work for paths only); formats are .txt, .jsonl and .parquet"
        )
    return files


def _remote(uri: str, info: Any) -> RemoteFile:
    return RemoteFile(uri, info.path, info.size or 0, info.mtime_ns or 0)
