"""Scenes as PNG, drawn by matplotlib."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from headway.errors import InputError, MissingExtraError
from headway.views.scene import ACCENT, Scene

PIXELS = 2  # for each unit of a scene
MOST_PIXELS = 30_000  # in a row or a column
_ANCHORS = {"start": "left", "middle": "center", "end": "right"}


def png(scene: Scene) -> bytes:
    """The scene as a PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: the picture would be too large.
    """
    try:
        from matplotlib.colors import to_rgb
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("Pictures in PNG need matplotlib: pip install headway[viz].") from None
    if PIXELS * max(scene.width, scene.height) > MOST_PIXELS:
        raise InputError(
            f"The picture would be {PIXELS * scene.width:.0f} x {PIXELS * scene.height:.0f} pixels, and "
            f"{MOST_PIXELS} is the most: choose layers and heads, or save it as HTML."
        )
    # One unit of the scene is a point of type, and 72 of them make an inch.
    figure = Figure(figsize=(scene.width / 72, scene.height / 72), dpi=72 * PIXELS, facecolor="white")
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    color = np.array(to_rgb(ACCENT))
    for tiles in scene.tiles:
        rows, columns = tiles.shades.shape
        shades = tiles.shades.clip(0, 1)[..., None]
        box = (tiles.x, tiles.x + columns * tiles.width, tiles.y + rows * tiles.height, tiles.y)
        axes.imshow(1 - shades * (1 - color), extent=box, interpolation="nearest", aspect="auto")
        axes.plot([box[0], box[1], box[1], box[0], box[0]], [box[2], box[2], box[3], box[3], box[2]], "#cfd3e0", lw=0.7)
    for label in scene.labels:
        anchor, turned = _ANCHORS[label.anchor], label.turned
        axes.text(
            label.x,
            label.y,
            label.text,
            size=label.size,
            color=label.color,
            rotation=90 if turned else 0,
            ha="center" if turned else anchor,
            va="bottom" if turned else "center_baseline",
            parse_math=False,
        )
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # drawn as a box: no font has every script
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
