"""Rows of files: csv, tsv, json, jsonl, txt and parquet, and folders of images."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.errors import InputError, MissingExtraError, did_you_mean

Row = dict[str, Any]

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a file, by what its name ends in; of a folder, the images in its folders, which name their classes.

    Returns:
        Dictionaries with the same keys: the header of csv and tsv (whose values stay texts), the keys of json and
        jsonl, the columns of parquet; ``text`` for each line of txt; ``image`` and ``label`` for images.

    Raises:
        InputError: there is no such file, it is of another kind, holds no row, or a line of it is broken.
        MissingExtraError: parquet needs the extra ``data``.
    """
    path = Path(path)
    if path.is_dir():
        rows = list(_images(path))
    else:
        reader = READERS.get(path.suffix.lower())
        if not path.is_file():
            near = [str(one) for one in path.parent.glob("*")] if path.parent.is_dir() else []
            raise InputError(f"There is no file {str(path)!r}.{did_you_mean(str(path), near)}")
        if reader is None:
            raise InputError(f"{path.name} cannot be read; give a file of {', '.join(READERS)}, or a folder of images.")
        try:
            rows = list(reader(path))
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not text in UTF-8 (byte {error.start}); convert it first.") from None
    if not rows:
        raise InputError(f"{path} holds no rows.")
    return rows


def held_out(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and at least one of them drawn for evaluation; both in their order.

    Raises:
        InputError: the share is out of range, or there is one row alone.
    """
    if not 0 < share < 1:
        raise InputError(f"eval_share={share} must be a share above 0 and below 1.")
    if len(rows) < 2:
        raise InputError("There is one row alone, so none can be held out for evaluation; give an eval file.")
    count = min(max(1, round(share * len(rows))), len(rows) - 1)
    chosen = set(random.Random(seed).sample(range(len(rows)), count))
    return [row for at, row in enumerate(rows) if at not in chosen], [rows[at] for at in sorted(chosen)]


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        separator = max(",;\t", key=head.count)
        lines = csv.reader(file, delimiter=separator)
        names = next(lines, [])
        for values in lines:
            if len(values) != len(names) and values:
                raise InputError(
                    f"Line {lines.line_num} of {path} has {len(values)} values, and the header names {len(names)}."
                )
            if values:
                yield dict(zip(names, values, strict=True))


def _json(path: Path) -> Iterator[Row]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}.") from None
    if isinstance(found, Mapping) and isinstance(found.get("data"), list):
        found = found["data"]
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise InputError(f"{path} must hold a list of objects, or an object with such a list as 'data'.")
    yield from found


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"Line {number} of {path} is no JSON: {error}.") from None
            if not isinstance(row, dict):
                raise InputError(f"Line {number} of {path} must be an object, with a value for each column.")
            yield row


def _text(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        yield from ({"text": line.strip()} for line in file if line.strip())


def _parquet(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Parquet files need pyarrow; install it with: pip install headway[data]") from error
    try:
        yield from parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no parquet file: {error}.") from None


def _images(folder: Path) -> Iterator[Row]:
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        for image in sorted(path for path in kind.rglob("*") if path.suffix.lower() in IMAGES):
            yield {"image": str(image), "label": kind.name}


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json,
    ".jsonl": _jsonl,
    ".txt": _text,
    ".parquet": _parquet,
}
