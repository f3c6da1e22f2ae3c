"""Translation: a text in another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.errors import InputError
from headway.pipelines.cutting import Part, joined
from headway.pipelines.options import option
from headway.pipelines.partwise import PartwisePipeline
from headway.pipelines.writing import WritingOptions


@dataclass(frozen=True, kw_only=True)
class TranslationOptions(WritingOptions):
    """The languages, where the model has several."""

    src_lang: str | None = option(None, "the language of texts, as the model names it", str)
    tgt_lang: str | None = option(None, "the language to translate into", str)


class TranslationPipeline(PartwisePipeline):
    """Translations: ``{"translation_text"}``, shaped as those of text2text-generation are.

    The task may name the languages: ``translation_en_to_de``. Models whose vocabulary has tokens of languages (mBART,
    M2M-100, NLLB) are told by them, T5 by the prefix that its config has for the two. With models of one pair, and
    those that read the language in the text (Marian's ``>>fr<<``), nothing is to be said.

    A text that is too long for the model is translated part by part; what stood between the parts, such as a new
    paragraph, stands between their translations.
    """

    task = "translation"
    pattern = r"translation_(?P<src_lang>\w+?)_to_(?P<tgt_lang>\w+)"
    summary = "a text in another language"
    Options = TranslationOptions
    field = "translation"
    told_by_head = False

    @classmethod
    def told(cls, options: Mapping[str, Any]) -> str:
        source, target = options.get("src_lang"), options.get("tgt_lang")
        return "_".join((cls.task, *([source] if source else []), *(["to", target] if target else [])))

    def params(self, options: Any) -> Mapping[str, Any]:
        return self._all_params.get(f"translation_{options.src_lang}_to_{options.tgt_lang}", super().params(options))

    def of_checkpoint(self, options: Any) -> Mapping[str, Any]:
        return {**super().of_checkpoint(options), **self._into(options)}

    def tokens(self, texts: Sequence[str], options: Any) -> list[list[int]]:
        if options.src_lang is None or not self._knows_languages:
            return super().tokens(texts, options)
        before = self.tokenizer.src_lang
        self.tokenizer.src_lang = options.src_lang
        try:
            return super().tokens(texts, options)
        finally:
            self.tokenizer.src_lang = before

    def join(self, texts: Sequence[str], parts: Sequence[Part]) -> str:
        return joined(texts, parts)

    def _into(self, options: Any) -> dict[str, int]:
        """How the decoder is told the language to write."""
        if not self._knows_languages:
            return {}
        config, codes = self.model.generation_config, self.tokenizer.lang_code_to_id
        start = config.decoder_start_token_id
        begins_with_language = start is None or start in codes.values()
        target = options.tgt_lang or self.tokenizer.tgt_lang
        if target is None:
            if config.forced_bos_token_id is None and start not in codes.values():
                raise InputError(
                    f"This model translates into several languages: pass tgt_lang=, one of {', '.join(sorted(codes))}."
                )
            return {}
        name = "decoder_start_token_id" if begins_with_language else "forced_bos_token_id"
        return {name: self.tokenizer.get_lang_id(target)}

    @property
    def _knows_languages(self) -> bool:
        return hasattr(self.tokenizer, "lang_code_to_id")
