"""The files that the page is made of, read once into memory: a path that is not among them cannot be asked for."""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, Self

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
_IMPORT: Final = re.compile(r'from "\./([\w-]+\.js)"')
_PACKED: Final = frozenset({"woff2"})
"""Compressed already."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it goes out."""

    body: bytes
    gzipped: bytes | None
    """None where compressing gains nothing."""
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """Every static file by its path, and one version for them all.

    The version stands in each address (`/static/<version>/main.js`), so that modules which import each other
    relatively always belong together, and a browser may keep them for ever.
    """

    by_path: Mapping[str, Asset]
    version: str

    @classmethod
    def read(cls) -> Self:
        """Read them from the package."""
        found = dict(sorted(_walk(files("gateway.page") / "static", "")))
        whole = hashlib.sha256()
        for path, body in found.items():
            whole.update(path.encode() + b"\0" + body)
        return cls(by_path={path: _asset(path, body) for path, body in found.items()}, version=whole.hexdigest()[:12])

    def url(self, path: str) -> str:
        """Where a file is served; a name that does not exist is a mistake in the template."""
        if path not in self.by_path:
            raise LookupError(f"no such static file: {path}")
        return f"/static/{self.version}/{path}"

    def modules(self, entry: str) -> list[str]:
        """The addresses of a script and of all that it imports, the script first."""
        found = [entry]
        for path in found:
            imported = _IMPORT.findall(self.by_path[path].body.decode())
            found += [each for each in dict.fromkeys(imported) if each not in found]
        return [self.url(path) for path in found]


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _walk(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each.read_bytes()


def _asset(path: str, body: bytes) -> Asset:
    kind = path.rpartition(".")[2]
    small = gzip.compress(body, mtime=0) if kind not in _PACKED else body
    return Asset(
        body=body,
        gzipped=small if len(small) < len(body) else None,
        media_type=_MEDIA_TYPES[kind],
        etag=f'"{hashlib.sha256(body).hexdigest()[:16]}"',
    )
