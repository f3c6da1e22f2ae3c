"""What an export says that it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.onnx.config import Axes


@dataclass(frozen=True)
class Graph:
    """One file, with its inputs and outputs by name.

    Attributes:
        difference: how far its numbers are from the model's, as a share of the largest where that is above one; None
            where they were not compared.
    """

    path: Path
    inputs: Mapping[str, Axes]
    outputs: Mapping[str, Axes]
    difference: float | None

    def __str__(self) -> str:
        compared = "not compared" if self.difference is None else f"at most {self.difference:.1e} from the model"
        return "\n".join([f"{self.path}: {compared}", *_listed("in ", self.inputs), *_listed("out", self.outputs)])


@dataclass(frozen=True)
class OnnxReport:
    """What was written: a graph a file, in operators of ``opset``."""

    graphs: tuple[Graph, ...]
    opset: int

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the graphs."""
        return tuple(graph.path for graph in self.graphs)

    @property
    def difference(self) -> float | None:
        """The largest of all graphs; None where they were not compared."""
        found = [graph.difference for graph in self.graphs if graph.difference is not None]
        return max(found) if found else None

    def to_dict(self) -> dict[str, Any]:
        """The same in plain values."""
        graphs = [{**vars(graph), "path": str(graph.path)} for graph in self.graphs]
        return {"opset": self.opset, "difference": self.difference, "graphs": graphs}

    def __str__(self) -> str:
        return "\n".join([*map(str, self.graphs), f"opset {self.opset}"])


def _listed(title: str, side: Mapping[str, Axes]) -> list[str]:
    width = max(map(len, side))
    return [f"  {title}  {name:<{width}}  {', '.join(axes.values())}" for name, axes in side.items()]
