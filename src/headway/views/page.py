"""Views as HTML that needs nothing else: style, script and data in one piece, for notebooks and as whole pages."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.io.atomic import write_file
from headway.views.png import png
from headway.views.scene import Array, Scene
from headway.views.svg import svg

MOST_WEIGHTS = 1 << 24


class View:
    """What can be looked at in a notebook, and saved as a page or a picture."""

    kind: str  # of its script

    def data(self) -> dict[str, Any]:
        """What the page shows, as JSON."""
        raise NotImplementedError

    def scene(self) -> Scene:
        """The static picture."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return fragment(self.kind, self.data())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the view into one file.

        Args:
            path: ends in ``.html`` (to explore), ``.svg`` or ``.png`` (a picture; the latter needs the extra ``viz``).

        Raises:
            InputError: the ending is none of these, the picture would be too large, or the file cannot be written.
            MissingExtraError: matplotlib is not installed, and ``path`` ends in ``.png``.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".html":
                content = page(self.kind, self.data()).encode()
            case ".svg":
                content = svg(self.scene()).encode()
            case ".png":
                content = png(self.scene())
            case _:
                raise InputError(f"{path.name!r} tells no format: let the file end in .html, .svg or .png.")
        try:
            write_file(path, content)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error


def fragment(kind: str, data: dict[str, Any]) -> str:
    """One element that becomes the view when its script has run."""
    title = escape(data["title"])
    return (
        f'<div class="headway-view" data-kind="{kind}"><style>{_style()}</style>'
        f"<p>{title}: trust this notebook, or allow scripts, to see it.</p>"
        f'<script type="application/json">{_json(data)}</script><script>{_script(kind)}</script></div>'
    )


def page(kind: str, data: dict[str, Any]) -> str:
    """A whole page, which forbids itself all but its own style and script."""
    policy = f"default-src 'none'; style-src '{_digest(_style())}'; script-src '{_digest(_script(kind))}'"
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(data['title'])}</title>"
    )
    body = f'<body class="headway-page">{fragment(kind, data)}</body>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n{body}</html>\n'


def as_bytes(shades: Array) -> str:
    """Numbers from 0 to 1 as a byte each, in base64."""
    return base64.b64encode((shades.clip(0, 1) * 255).round().astype(np.uint8).tobytes()).decode()


def check_size(count: int, what: str, advice: str) -> None:
    """Raise InputError where a page would be too large to be opened."""
    if count > MOST_WEIGHTS:
        raise InputError(f"{what} are {count:,} numbers, and a view holds {MOST_WEIGHTS:,} at most: {advice}.")


def _json(data: dict[str, Any]) -> str:
    # No text may end the element that it stands in.
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _style() -> str:
    return _asset("view.css")


@cache
def _script(kind: str) -> str:
    return f'(() => {{\n"use strict";\n{_asset("base.js")}{_asset(f"{kind}.js")}}})();'


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
