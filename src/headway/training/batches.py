"""Batches of a data set: rows fetched and collated, here or in workers, without the columns that no model takes."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from headway.errors import InputError
from headway.training.arguments import TrainingArguments
from headway.training.order import Order, Place, Split, cheap_lengths
from headway.training.randomness import drawn_from

logger = logging.getLogger("headway")

Collate = Callable[[list[Any]], Any]
# What data sets call labels.
_LABELS = ("labels", "label", "label_ids")


class Fetched(Dataset[Any]):
    """A data set whose items are whole batches, by their place in an order.

    What collators and data sets draw depends on the place alone: not on what was drawn before, and not on the worker
    that makes the batch.
    """

    def __init__(self, rows: Any, collate: Collate, columns: frozenset[str] | None) -> None:
        self.rows, self.collate, self.columns = rows, collate, columns

    def __getitem__(self, place: Place) -> Any:
        if not place.rows:
            return None
        with drawn_from(place.seed):
            many = getattr(self.rows, "__getitems__", None)
            rows = many(list(place.rows)) if many else [self.rows[row] for row in place.rows]
            return self.collate([_kept(row, self.columns) for row in rows])


class Streamed:
    """Batches of rows that come one after another; processes take turns, and what was had before is passed over."""

    def __init__(self, rows: Iterable[Any], collate: Collate, columns: frozenset[str] | None, split: Split) -> None:
        self.rows, self.collate, self.columns, self.split = rows, collate, columns, split
        self.epoch = self.skipped = 0

    def go_to(self, epoch: int, steps: int = 0) -> None:
        """Let the next iteration be that of ``epoch``, without its first ``steps``."""
        self.epoch, self.skipped = epoch, steps

    def __iter__(self) -> Iterator[Any]:
        if hasattr(self.rows, "set_epoch"):
            self.rows.set_epoch(self.epoch)
        rows = islice(iter(self.rows), self.skipped * self.split.rows, None)
        number = self.skipped
        while step := list(islice(rows, self.split.rows)):
            for index, part in enumerate(self.split.deal(range(len(step)))):
                chosen = [_kept(step[row], self.columns) for row in part]
                with drawn_from(number * self.split.passes + index):
                    yield self.collate(chosen) if chosen else None
            number += 1


class Batches:
    """A loader together with the order in which it loads."""

    def __init__(self, loader: Iterable[Any], order: Order | Streamed) -> None:
        self.loader, self.order = loader, order

    def go_to(self, epoch: int, steps: int = 0) -> None:
        """Let the next iteration be that of ``epoch``, without its first ``steps``."""
        self.order.go_to(epoch, steps)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    def __len__(self) -> int:
        """Passes of an epoch; raises ``TypeError`` where rows come one after another."""
        if isinstance(self.order, Streamed):
            raise TypeError("this data set does not know its length")
        return len(self.order)

    @property
    def dataset(self) -> Any:
        """Where the rows come from."""
        return self.loader.dataset.rows if isinstance(self.loader, DataLoader) else self.order.rows  # type: ignore


def train_batches(dataset: Any, collate: Collate, args: TrainingArguments, columns: frozenset[str] | None) -> Batches:
    """The batches of a training: in random order, or as rows come where a data set has no length."""
    group, size = args.replicas, args.per_device_train_batch_size
    split = Split(size, args.gradient_accumulation_steps, group.world, group.rank)
    if not sized(dataset):
        if args.group_by_length:
            raise InputError("group_by_length=True needs a data set with a length; this one gives rows one by one.")
        stream = Streamed(dataset, collate, columns, split)
        return Batches(stream, stream)
    lengths = cheap_lengths(dataset, args.length_column_name)
    if args.group_by_length and lengths is None:
        raise InputError(
            f"group_by_length=True needs rows with input_ids, or a column {args.length_column_name!r}, in a list of "
            "dictionaries or a data set of datasets."
        )
    seed = args.seed if args.data_seed is None else args.data_seed
    shuffled = args.train_sampling_strategy != "sequential"
    order = Order(len(dataset), split, seed, lengths, args.group_by_length, args.dataloader_drop_last, shuffled)
    return Batches(_loader(Fetched(_view(dataset, columns), collate, columns), order, args), order)


def eval_batches(dataset: Any, collate: Collate, args: TrainingArguments, columns: frozenset[str] | None) -> Any:
    """The batches of an evaluation, in the order of the rows; of several processes each has every so manieth one."""
    group, size = args.replicas, args.per_device_eval_batch_size
    split = Split(size, 1, group.world, group.rank)
    if not sized(dataset):
        return Streamed(dataset, collate, columns, split)
    count = len(dataset)
    places = [
        Place(part, start)
        for start in range(0, count, split.rows)
        for part in split.deal(range(start, min(start + split.rows, count)))
    ]
    return _loader(Fetched(_view(dataset, columns), collate, columns), places, args)


def _loader(batches: Fetched, places: Any, args: TrainingArguments) -> DataLoader[Any]:
    workers = args.dataloader_num_workers
    return DataLoader(
        batches,
        batch_size=None,
        sampler=places,
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=args.dataloader_pin_memory and args.device.type == "cuda",
        persistent_workers=args.dataloader_persistent_workers,
        prefetch_factor=args.dataloader_prefetch_factor,
        generator=torch.Generator(),  # else the loader would draw from that of the training
    )


def _as_it_is(batch: Any) -> Any:
    return batch


def _view(dataset: Any, columns: frozenset[str] | None) -> Any:
    """``dataset`` without its unused columns, where that spares reading them; the data set itself stays as it is."""
    names = getattr(dataset, "column_names", None)
    if columns is None or not isinstance(names, list) or not hasattr(dataset, "select_columns"):
        return dataset
    return dataset.select_columns([name for name in names if name in columns])


def _kept(row: Any, columns: frozenset[str] | None) -> Any:
    if columns is None or not isinstance(row, Mapping):
        return row
    return {name: value for name, value in row.items() if name in columns}


def sized(dataset: Any) -> bool:
    """Does the data set know how many rows it has, and give any of them?"""
    return hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")


def columns_taken(model: nn.Module, label_names: Iterable[str]) -> frozenset[str] | None:
    """The columns that a model can use; None where it does not say which it takes."""
    parameters = inspect.signature(model.forward).parameters.values()
    known = getattr(getattr(model, "plan", None), "targets", None)
    if known is None and any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset([*(parameter.name for parameter in parameters), *(known or ()), *_LABELS, *label_names])


def columns_of(dataset: Any) -> list[str]:
    """The columns of a data set, by its first row where it has rows of dictionaries."""
    names = getattr(dataset, "column_names", None)
    if isinstance(names, list):
        return names
    if isinstance(dataset, list | tuple) and dataset and isinstance(dataset[0], Mapping):
        return [str(name) for name in dataset[0]]
    return []


def check_columns(dataset: Any, taken: frozenset[str] | None, model: nn.Module, said: set[str]) -> None:
    """Say once which columns are left out; raises ``InputError`` where none is left."""
    names = columns_of(dataset)
    unused = [name for name in names if taken is not None and name not in taken]
    if names and len(unused) == len(names) and taken is not None:
        takes = [name for name in inspect.signature(model.forward).parameters if name in taken]
        raise InputError(
            f"{type(model).__name__} takes none of the columns {', '.join(names)}; tokenize the data set "
            f"first, so that it has {', '.join(takes[:3])}."
        )
    if set(unused) - said:
        said.update(unused)
        logger.info("The model takes no %s, so these columns are left out.", ", ".join(unused))
