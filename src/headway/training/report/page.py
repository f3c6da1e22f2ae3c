"""Reports as HTML that needs nothing else, and no script: for notebooks and as whole pages."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files


@cache
def style() -> str:
    """The style sheet of reports."""
    return (files(__package__) / "report.css").read_text(encoding="utf-8")


def fragment(body: str) -> str:
    """``body`` with its style, for a notebook."""
    return f'<div class="headway-report"><style>{style()}</style>{body}</div>'


def page(title: str, body: str) -> str:
    """A whole page, which forbids itself everything from elsewhere."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title>"
    )
    inside = f'<body class="headway-page">{fragment(body)}</body>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n{inside}</html>\n'
