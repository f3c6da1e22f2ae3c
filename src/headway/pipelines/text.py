"""``TextPipeline``: pipelines that read texts: tokenizing, windows where a text is too long, and batched passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headway import spec
from headway.errors import InputError
from headway.pipelines.base import Pipeline
from headway.pipelines.batches import TOKENS_ON_CPU, TOKENS_ON_GPU, batches
from headway.pipelines.options import Options, option
from headway.pipelines.windows import Array, Window, split, whole
from headway.progress import progress

if TYPE_CHECKING:
    from tokenizers import Encoding
    from torch import Tensor

    from headway.tokenization.encoding import BatchEncoding


@dataclass(frozen=True, kw_only=True)
class TextOptions(Options):
    """Options of every pipeline that reads texts."""

    truncation: bool = option(False, "cut texts that are too long, rather than reading them in windows", bool)
    max_length: int | None = option(None, "tokens of a window; by default as many as the model takes", int)
    stride: int | None = option(None, "tokens that windows of a long text share; by default a quarter", int, least=0)
    padding: bool | str = option(False, "without effect: rows are padded where they must be")


@dataclass
class Document:
    """A text, or a pair of texts, with its tokens and the windows in which the model reads it."""

    text: str
    pair: str | None
    batch: BatchEncoding
    row: int
    windows: Sequence[Window] = ()

    @property
    def ids(self) -> list[int]:
        """The ids of all tokens."""
        ids: list[int] = self.batch["input_ids"][self.row]
        return ids

    @property
    def types(self) -> list[int] | None:
        """The types of all tokens, where the model reads them."""
        return self.batch["token_type_ids"][self.row] if "token_type_ids" in self.batch else None

    @cached_property
    def encoding(self) -> Encoding:
        """What the tokenizer knows of the tokens: offsets, words, sequences."""
        encoding: Encoding = self.batch[self.row]
        return encoding


@dataclass(frozen=True)
class Row:
    """The inputs of the model for one window, ``[width]`` each."""

    ids: Array
    types: Array | None

    def __len__(self) -> int:
        return len(self.ids)


class TextPipeline(Pipeline):
    """A pipeline that reads texts; a subclass says what to keep of the outputs and what to make of it.

    Texts are tokenized, cut into windows where they are too long, and run sorted by length, as many at once as a budget
    of tokens allows; the answers come in the order of the inputs. No answer depends on what else is in the batch.
    """

    Options: ClassVar[type[Options]] = TextOptions

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Tensor]:
        """What ``answer`` needs of the model's output, one tensor a row, without padding."""
        raise TypeError(f"{type(self).__name__} does not say what it keeps; define select.")

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> Any:
        """The answer for one input, of what was kept for each of its windows."""
        raise TypeError(f"{type(self).__name__} does not say what it answers; define answer.")

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        documents = self.documents(items, options)
        outputs = self.outputs(documents, options)
        return [self.answer(*both, options) for both in zip(documents, outputs, strict=True)]

    def outputs(self, documents: Sequence[Document], options: Any) -> list[list[Array]]:
        """What is kept of the model's output for each window of each document."""
        rows = []
        for document in documents:
            document.windows = self.windows(document, options)
            rows += self.rows(document)
        outputs = iter(self.forward(rows, options))
        return [[next(outputs) for _ in document.windows] for document in documents]

    # --- before the model ------------------------------------------------------------------------------------------

    def texts(self, item: Any) -> tuple[str, str | None]:
        """The text of an input, and its second one.

        Raises:
            InputError: it is neither a text nor a dictionary of them.
        """
        if isinstance(item, str):
            return item, None
        if isinstance(item, Mapping) and isinstance(item.get("text"), str):
            pair = item.get("text_pair")
            if item.keys() <= {"text", "text_pair"} and isinstance(pair, str | None):
                return item["text"], pair
        raise InputError(
            f"{self.task} takes a text, or a dictionary with 'text' and perhaps 'text_pair', not {shown(item)}."
        )

    def documents(self, items: Sequence[Any], options: Any) -> list[Document]:
        """The inputs, tokenized."""
        texts = [self.texts(item) for item in items]
        found: list[Document | None] = [None] * len(texts)
        for paired in (False, True):
            places = [place for place, (_, pair) in enumerate(texts) if (pair is not None) == paired]
            if not places:
                continue
            first, second = [texts[place][0] for place in places], [texts[place][1] for place in places]
            batch = self.tokenizer(first, second if paired else None, verbose=False)
            for row, place in enumerate(places):
                found[place] = Document(*texts[place], batch, row)
        return [document for document in found if document is not None]

    def windows(self, document: Document, options: Any) -> Sequence[Window]:
        """The windows in which the model reads a document."""
        count = len(document.ids)
        if not count:
            raise InputError(f"{self.task} was given a text without any token: {shown(document.text)}.")
        limit = min(self.longest(options) or count, self.max_tokens or count)
        if count <= limit:
            return (whole(count),)
        windows = split(document.encoding.sequence_ids, self.moving(document), limit, self.overlap(options))
        return windows[:1] if options.truncation else windows

    def longest(self, options: Any) -> int | None:
        """Tokens of a window at most, where the options say so."""
        length: int | None = options.max_length
        return length

    def moving(self, document: Document) -> int:
        """The number of the text through which windows move: the longer one."""
        sequences = document.encoding.sequence_ids
        return int(sequences.count(1) > sequences.count(0))

    def overlap(self, options: Any) -> int | None:
        """Tokens that windows share; None leaves it to them."""
        stride: int | None = options.stride
        return stride

    def rows(self, document: Document) -> list[Row]:
        """The model's inputs for each window."""
        ids, types = np.asarray(document.ids), None if document.types is None else np.asarray(document.types)
        places = [window.tokens for window in document.windows]
        return [Row(ids[tokens], None if types is None else types[tokens]) for tokens in places]

    @cached_property
    def max_tokens(self) -> int | None:
        """How many tokens the model takes, as far as its positions and its tokenizer tell."""
        from headway.tokenization.options import UNKNOWN_LENGTH

        known = [self.tokenizer.model_max_length, positions(self.model)]
        return min((count for count in known if count is not None and count < UNKNOWN_LENGTH), default=None)

    # --- the model -------------------------------------------------------------------------------------------------

    def forward(self, rows: Sequence[Row], options: Any) -> list[Array]:
        """What ``select`` keeps of the model's output for each row, float32, in the order of ``rows``."""
        import torch

        found: list[Array] = [np.empty(0)] * len(rows)
        with progress(self.task, len(rows), options.progress) as bar, torch.inference_mode():
            for numbers in batches([len(row) for row in rows], self.budget, options.batch_size):
                batch = [rows[number] for number in numbers]
                output = self.model(**self.inputs(batch))
                for number, kept in zip(numbers, self.select(output, batch), strict=True):
                    found[number] = kept.float().cpu().numpy()
                bar.update(len(numbers))
        return found

    @property
    def budget(self) -> int:
        """Tokens of a pass at most."""
        return TOKENS_ON_CPU if self.device.type == "cpu" else TOKENS_ON_GPU

    def inputs(self, rows: Sequence[Row]) -> dict[str, Any]:
        """The model's inputs for rows that go through it together."""
        import torch

        lengths = np.array([len(row) for row in rows])
        real = np.arange(lengths.max()) < lengths[:, None]

        def padded(values: list[Array]) -> Tensor:
            table = np.zeros(real.shape, dtype=np.int64)
            table[real] = np.concatenate(values)
            return torch.from_numpy(table).to(self.device)

        # Padding is known by the mask alone, so any id will do and a pad token is not needed.
        inputs = {"input_ids": padded([row.ids for row in rows])}
        types = [row.types for row in rows if row.types is not None]
        if types:
            inputs["token_type_ids"] = padded(types)
        if not real.all():
            inputs["attention_mask"] = torch.from_numpy(real.astype(np.int64)).to(self.device)
        return inputs

    # --- options ---------------------------------------------------------------------------------------------------

    def options_from(self, options: Any, values: Mapping[str, Any]) -> Any:
        # Some tasks of the field take the tokenizer's arguments in a dictionary of their own.
        plain = dict(values)
        for name in ("tokenizer_kwargs", "tokenize_kwargs"):
            plain.update(plain.pop(name, None) or {})
        return super().options_from(options, plain)


def mean_logits(document: Document, outputs: Sequence[Array]) -> Array:
    """The logits ``[labels]`` of a document, of those of its windows by their lengths."""
    if len(outputs) == 1:
        return outputs[0]
    mean: Array = np.average(outputs, axis=0, weights=[len(window.tokens) for window in document.windows])
    return mean


def unpadded(tensor: Tensor, rows: Sequence[Row]) -> list[Tensor]:
    """``[rows, width, ...]`` to one tensor ``[tokens, ...]`` a row."""
    return [values[: len(row)] for values, row in zip(tensor, rows, strict=True)]


def positions(model: Any) -> int | None:
    """How many positions a model has, None where nothing bounds them."""
    backbone = getattr(getattr(model, "plan", None), "backbone", None)
    if backbone is not None:
        stack = backbone.encoder if hasattr(backbone, "encoder") else backbone.stack
        learned = getattr(stack.embed, "positions", None)
        if isinstance(learned, spec.Learned):
            return int(learned.count - learned.offset)
    count = getattr(model.config, "max_position_embeddings", None)
    return None if count is None else int(count)


def shown(value: object) -> str:
    """A value as a message shows it, in part where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
