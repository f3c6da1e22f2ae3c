"""Sentence similarity: how near texts are in meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import ConfigError, InputError
from headway.io.hub import locate
from headway.io.source import Source
from headway.pipelines.feature_extraction import POOLINGS, FeatureExtractionPipeline
from headway.pipelines.options import option
from headway.pipelines.text import Document, TextOptions, shown
from headway.pipelines.windows import Array

# What a sentence-transformers folder may hold: lengths do not count in a cosine, so normalising says nothing here.
MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, kw_only=True)
class SentenceSimilarityOptions(TextOptions):
    """How the states of a text become one vector."""

    pooling: str = option("mean", "how the states of a text become one vector", str, choices=POOLINGS)


class SentenceSimilarityPipeline(FeatureExtractionPipeline):
    """Similarities (Reimers and Gurevych 2019, arXiv:1908.10084).

    An input is ``{"source_sentence", "sentences"}``; the answer is a list of cosines, one for each of the sentences. A
    sentence-transformers folder says how vectors are made; with any other checkpoint they are the mean of all states.
    Texts that are too long are read in windows, and their vector is made of the states of all.
    """

    task = "sentence-similarity"
    summary = "how near sentences are to another in meaning"
    Options = SentenceSimilarityOptions
    told_by_head = False
    main = "sentences"
    besides = {"source_sentence": "the sentence to compare with"}  # noqa: RUF012 - read only

    @classmethod
    def options_of(cls, name: str, place: Mapping[str, Any]) -> dict[str, Any]:
        return _said_by(locate(name, **place))

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        groups = [_parts(item) for item in items]
        texts = list(dict.fromkeys(text for group in groups for text in group))
        vectors = dict(zip(texts, super().run(texts, options), strict=True))
        return [[float(vectors[source] @ vectors[text]) for text in sentences] for source, *sentences in groups]

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> Any:
        vector = self.pooled(document, outputs, options.pooling)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    def table(self, answer: Any) -> list[dict[str, Any]]:
        return [{"score": score} for score in answer]


def _parts(item: Any) -> list[str]:
    """The sentence that others are compared with, and these."""
    if isinstance(item, Mapping) and item.keys() == {"source_sentence", "sentences"}:
        sentences = item["sentences"]
        texts = [item["source_sentence"], *([sentences] if isinstance(sentences, str) else sentences)]
        if all(isinstance(text, str) for text in texts):
            return texts
    raise InputError(
        "sentence-similarity takes a dictionary with 'source_sentence', a text, and 'sentences', a list of them, not "
        f"{shown(item)}."
    )


def _said_by(source: Source) -> dict[str, Any]:
    """What a sentence-transformers folder says, nothing for any other."""
    path = source.find("modules.json")
    if path is None:
        return {}
    try:
        modules = {str(module["type"]).rpartition(".")[2]: module["path"] for module in json.loads(path.read_bytes())}
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"modules.json of {source.name!r} is no list of modules; download it again.") from None
    if unknown := [name for name in modules if name not in MODULES]:
        raise InputError(
            f"{source.name!r} makes its vectors with {', '.join(unknown)} too, which headway does not have; choose a "
            f"checkpoint with {', '.join(MODULES)} alone."
        )
    length = (source.read_json("sentence_bert_config.json") or {}).get("max_seq_length")
    found = {} if length is None else {"max_length": length}
    pooling = source.read_json(f"{modules['Pooling']}/config.json") if "Pooling" in modules else None
    return found if pooling is None else {**found, "pooling": _pooling(pooling, source.name)}


def _pooling(config: Mapping[str, Any], name: str) -> str:
    said = config.get("pooling_mode")
    ways = [said] if isinstance(said, str) else list(said or ())
    prefix = "pooling_mode_"
    ways = ways or [
        key.removeprefix(prefix) for key, value in config.items() if key.startswith(prefix) and value is True
    ]
    # Older files name the first three after tokens.
    ways = [way if way in POOLINGS else way.removesuffix("_token").removesuffix("_tokens") for way in ways]
    if len(ways) != 1 or ways[0] not in POOLINGS:
        raise InputError(
            f"The pooling of {name!r} is {' and '.join(ways) or 'not said'}; headway has one of {', '.join(POOLINGS)}."
        )
    return ways[0]
