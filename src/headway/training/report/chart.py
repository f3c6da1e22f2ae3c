"""Curves as SVG, drawn by style sheet, with words for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]

WIDTH, HEIGHT = 520, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 34
# More points than pixels help nobody.
MOST_POINTS = 400


@dataclass(frozen=True)
class Line:
    """A curve: ``accent`` for what is measured in evaluations, which gets dots."""

    name: str
    points: Sequence[Point]
    accent: bool = False


@dataclass(frozen=True)
class Axis:
    """What numbers of an axis lie where: ``low`` to ``high`` on ``start`` to ``end`` pixels."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """The pixel of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round numbers between the ends."""
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [step * number for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def chart(title: str, lines: Sequence[Line], across: str = "step") -> str:
    """A figure of ``lines``, the empty text where there is nothing to draw."""
    lines = [Line(line.name, thinned(finite(line.points)), line.accent) for line in lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    every = [point for line in lines for point in line.points]
    x, y = axes(every)
    parts = [
        *(_rule(x, y, value) for value in y.ticks(4)),
        *(_mark(x, y, value) for value in x.ticks(6)),
        f'<text class="hw-axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 2}" text-anchor="end">{escape(across)}</text>',
        *(_line(line, x, y) for line in lines),
    ]
    key = "".join(
        f'<span class="hw-key{" hw-accent" if line.accent else ""}">{escape(line.name)}</span>' for line in lines
    )
    return (
        f'<figure class="hw-chart"><figcaption><b>{escape(title)}</b>{key if len(lines) > 1 else ""}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told(title, lines, across))}">'
        f"{''.join(parts)}</svg></figure>"
    )


def scatter(title: str, points: Sequence[Point], across: str, up: str) -> str:
    """A figure of points, with the line where both numbers are equal."""
    points = finite(points)
    if not points:
        return ""
    x, y = axes([*points, *((b, a) for a, b in points)])
    low, high = max(x.low, y.low), min(x.high, y.high)
    dots = "".join(f'<circle class="hw-dot" cx="{x.place(a):.1f}" cy="{y.place(b):.1f}" r="2.5"/>' for a, b in points)
    diagonal = f"M{x.place(low):.1f} {y.place(low):.1f}L{x.place(high):.1f} {y.place(high):.1f}"
    parts = [
        *(_rule(x, y, value) for value in y.ticks(4)),
        *(_mark(x, y, value) for value in x.ticks(6)),
        f'<text class="hw-axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 2}" text-anchor="end">{escape(across)}</text>',
        f'<path class="hw-rule hw-dashed" d="{diagonal}"/>{dots}',
    ]
    said = f"{title}: {len(points)} points, {across} across and {up} upwards"
    return (
        f'<figure class="hw-chart"><figcaption><b>{escape(title)}</b></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg></figure>'
    )


def finite(points: Sequence[Point]) -> list[Point]:
    """Those that can be drawn."""
    return [(a, b) for a, b in points if math.isfinite(a) and math.isfinite(b)]


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most about ``MOST_POINTS``, each the mean of its neighbours."""
    size = -(-len(points) // MOST_POINTS)
    if size <= 1:
        return list(points)
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [(sum(a for a, _ in group) / len(group), sum(b for _, b in group) / len(group)) for group in groups]


def axes(points: Sequence[Point]) -> tuple[Axis, Axis]:
    """Axes that hold all points; the upward one starts at zero where that is near."""
    across, up = [a for a, _ in points], [b for _, b in points]
    low, high = min(up), max(up)
    if low >= 0 and low <= 0.6 * high:
        low = 0.0
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    left, right = min(across), max(across)
    spare = 0.0 if right > left else 0.5
    return (
        Axis(left - spare, right + spare, LEFT, WIDTH - RIGHT),
        Axis(low if low == 0.0 else low - room, high + room, HEIGHT - BOTTOM, TOP),
    )


def told(title: str, lines: Sequence[Line], across: str) -> str:
    """A figure in words."""
    said = [
        f"{line.name} from {number(line.points[0][1])} at {across} {number(line.points[0][0])} "
        f"to {number(line.points[-1][1])} at {across} {number(line.points[-1][0])}"
        for line in lines
    ]
    return f"{title}: {'; '.join(said)}"


def number(value: float) -> str:
    """A number as people write it, in four digits."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def _rule(x: Axis, y: Axis, value: float) -> str:
    at = y.place(value)
    return (
        f'<path class="hw-rule" d="M{x.start} {at:.1f}H{x.end}"/>'
        f'<text class="hw-axis" x="{x.start - 8}" y="{at:.1f}" dy="0.35em" text-anchor="end">{number(value)}</text>'
    )


def _mark(x: Axis, y: Axis, value: float) -> str:
    at = x.place(value)
    return f'<text class="hw-axis" x="{at:.1f}" y="{y.start + 16}" text-anchor="middle">{number(value)}</text>'


def _line(line: Line, x: Axis, y: Axis) -> str:
    kind = " hw-accent" if line.accent else ""
    places = [(x.place(a), y.place(b)) for a, b in line.points]
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    shown = line.accent and len(places) <= 40
    dots = "".join(
        f'<circle class="hw-dot{kind}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"><title>{escape(line.name)} '
        f"{number(value)} at {number(step)}</title></circle>"
        for (a, b), (step, value) in zip(places, line.points, strict=True)
        if shown or len(places) == 1
    )
    return f'<path class="hw-line{kind}" d="M{path}"/>{dots}'
