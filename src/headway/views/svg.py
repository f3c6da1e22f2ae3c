"""Scenes as SVG: vectors and nothing else, for papers."""

from __future__ import annotations

from html import escape
from itertools import groupby

from headway.errors import InputError
from headway.views.scene import ACCENT, Array, Label, Scene, Tiles

SHADES = 32
MOST_CELLS = 400_000


def svg(scene: Scene) -> str:
    """The scene as an SVG document.

    Raises:
        InputError: it has more cells than a viewer of SVG can bear.
    """
    cells = sum(tiles.shades.size for tiles in scene.tiles)
    if cells > MOST_CELLS:
        raise InputError(
            f"The picture has {cells:,} cells, and an SVG holds {MOST_CELLS:,} at most: choose layers and heads, or "
            "save it as PNG or HTML."
        )
    width, height = round(scene.width), round(scene.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
            f"<title>{text_of(scene.title)}</title>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *(_tiles(tiles) for tiles in scene.tiles),
            *(_label(label) for label in scene.labels),
            "</svg>\n",
        ]
    )


def text_of(text: str) -> str:
    """``text`` escaped, without the characters that no XML may hold."""
    return escape("".join(char if char.isprintable() or char == " " else "\ufffd" for char in text))


def _tiles(tiles: Tiles) -> str:
    """One path for each shade, in units of cells."""
    rows, columns = tiles.shades.shape
    paths: dict[int, list[str]] = {}
    levels: Array = (tiles.shades.clip(0, 1) * SHADES).round().astype(int)
    for row, line in enumerate(levels.tolist()):
        column = 0
        for level, run in groupby(line):
            length = len(list(run))
            if level:
                paths.setdefault(level, []).append(f"M{column} {row}h{length}v1h-{length}z")
            column += length
    place = f"translate({tiles.x:.4g} {tiles.y:.4g}) scale({tiles.width:.6g} {tiles.height:.6g})"
    drawn = "".join(
        f'<path fill-opacity="{level / SHADES:.4g}" d="{"".join(path)}"/>' for level, path in sorted(paths.items())
    )
    frame = f'<rect width="{columns}" height="{rows}" fill="none" stroke="#cfd3e0" vector-effect="non-scaling-stroke"/>'
    return f'<g transform="{place}" fill="{ACCENT}" shape-rendering="crispEdges">{drawn}{frame}</g>'


def _label(label: Label) -> str:
    turned = f' transform="rotate(-90 {label.x:.5g} {label.y:.5g})"' if label.turned else ""
    return (
        f'<text x="{label.x:.5g}" y="{label.y:.5g}" dy="0.35em" font-size="{label.size:g}" fill="{label.color}" '
        f'text-anchor="{label.anchor}"{turned}>{text_of(label.text)}</text>'
    )
