"""``generate`` and ``generate_many`` as methods of models; what does the work is imported when one is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from headway.generation.config import GenerationConfig
    from headway.generation.generate import Callables


class Writer:
    """A model that writes text where its head can."""

    task: ClassVar[str]

    def can_generate(self) -> bool:
        """Has the model a head that writes text?"""
        return self.task in ("causal-lm", "seq2seq-lm")

    def generate(
        self,
        inputs: Any = None,
        generation_config: GenerationConfig | None = None,
        *,
        logits_processor: Sequence[Callable[[Tensor, Tensor], Tensor]] | None = None,
        stopping_criteria: Sequence[Callable[..., Any]] | None = None,
        prefix_allowed_tokens_fn: Callable[[int, Tensor], Sequence[int]] | None = None,
        streamer: Any = None,
        assistant_model: Writer | None = None,
        tokenizer: Any = None,
        generator: torch.Generator | None = None,
        negative_prompt_ids: Tensor | None = None,
        negative_prompt_attention_mask: Tensor | None = None,
        grammar: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Write text after prompts.

        Rows may be padded on either side, as ``attention_mask`` says; it changes nothing in what is written. What was
        written stands behind the prompts as they were given; a row that ended earlier is filled with ``pad_token_id``.

        Args:
            inputs: ``input_ids [rows, tokens]`` int64: the prompts, or an encoder's input; or a list of prompts of
                any length, which are written by ``generate_many``.
            generation_config: how to write; what it does not say is the model's own, ``model.generation_config``.
            logits_processor: functions of ids ``[rows, n]`` and scores ``[rows, vocabulary]`` that return scores.
            stopping_criteria: functions of the same that return booleans ``[rows]``.
            prefix_allowed_tokens_fn: from a row's number and its ids to the ids that may follow.
            streamer: gets tokens as they are written, such as a ``TextStreamer``.
            assistant_model: a smaller model that guesses; the text is greedy's own.
            tokenizer: reads the text where ``stop_strings`` are looked for or a ``grammar`` is followed.
            generator: what sampling draws from; with the same seed it draws the same.
            negative_prompt_ids: with ``guidance_scale``, prompts to keep away from.
            grammar: what is written follows it: a ``JsonSchema`` (or one as a dictionary), ``Regex``, ``Lark`` or
                ``Choices``, or a list with one, or None, for each prompt. It needs the ``tokenizer`` and the extra
                ``headway[grammar]``. A row ends where its grammar can only end; one that ``max_new_tokens`` (20
                where nobody says otherwise) or another limit cuts short is the beginning of such a text.
            **kwargs: fields of ``GenerationConfig`` such as ``max_new_tokens=50``, and inputs of the model:
                ``input_ids``, ``attention_mask``, ``token_type_ids``, ``inputs_embeds``, ``past_key_values`` (a cache
                to go on from; ``input_ids`` is then the whole text), ``decoder_input_ids``, ``encoder_outputs``.

        Returns:
            ids ``[rows, tokens + written]`` (an encoder-decoder's begin with the decoder's start), or with
            ``return_dict_in_generate=True`` an output with ``sequences`` and what was asked for besides.

        Raises:
            InputError: an argument is unknown, out of its range or contradicts another.
        """
        from headway.generation.generate import Callables, generate, settings

        added = Callables(
            logits_processor,
            stopping_criteria,
            prefix_allowed_tokens_fn,
            streamer,
            assistant_model,
            tokenizer,
            generator,
            negative_prompt_ids,
            negative_prompt_attention_mask,
            grammar,
        )
        if isinstance(inputs, list | tuple):
            return self._generate_many(inputs, generation_config, added, **kwargs)
        config, given = settings(self, generation_config, kwargs)
        return generate(self, inputs, config, given, added)

    def generate_many(
        self,
        prompts: Iterable[Any],
        generation_config: GenerationConfig | None = None,
        *,
        tokens: int = 8192,
        progress: bool = True,
        logits_processor: Sequence[Callable[[Tensor, Tensor], Tensor]] | None = None,
        stopping_criteria: Sequence[Callable[..., Any]] | None = None,
        prefix_allowed_tokens_fn: Callable[[int, Tensor], Sequence[int]] | None = None,
        assistant_model: Writer | None = None,
        tokenizer: Any = None,
        generator: torch.Generator | None = None,
        grammar: Any = None,
        **kwargs: Any,
    ) -> list[Tensor]:
        """Write text after many prompts of any length.

        Each prompt gives what ``generate`` gives for it alone. As many are at work at once as the budget allows; rows
        that are finished leave, and waiting prompts, read together without padding, take their place. Beams,
        contrastive search, guesses and guidance go batch by batch in place of this. With ``do_sample`` the draws
        depend on which rows are at work together: the same seed gives the same for the same prompts and budget alone.

        Args:
            prompts: lists of ids, tensors ``[tokens]``, or with ``tokenizer`` texts; an encoder's input where there is
                an encoder.
            tokens: the budget: rows at work times the most tokens that one of them may come to hold (of prompt and
                text, and of an encoder's input). A prompt that needs more is written alone.
            progress: show a bar on stderr where that is a terminal and the work takes long.
            **kwargs: fields of ``GenerationConfig``, where ``max_time`` is that of the whole call; ``past_key_values``
                is a cache of one row with what all prompts begin with, and stays as it is.

        The rest is as in ``generate``; processors and criteria are called for one row at a time, without padding.

        Returns:
            For each prompt in order (``num_return_sequences`` for each) ids ``[n]`` int64: the prompt and what was
            written, or of an encoder-decoder the decoder's start and what was written; no padding.

        Raises:
            InputError: a prompt holds no ids, or an argument is unknown, out of its range or contradicts another.
        """
        from headway.generation.generate import Callables

        added = Callables(
            logits_processor,
            stopping_criteria,
            prefix_allowed_tokens_fn,
            None,
            assistant_model,
            tokenizer,
            generator,
            grammar=grammar,
        )
        return self._generate_many(prompts, generation_config, added, tokens, progress, **kwargs)

    def _generate_many(
        self,
        prompts: Any,
        given_config: GenerationConfig | None,
        added: Callables,
        tokens: int = 8192,
        progress: bool = True,
        **kwargs: Any,
    ) -> list[Tensor]:
        from headway.generation.generate import settings
        from headway.generation.many import generate_many

        config, given = settings(self, given_config, kwargs)
        return generate_many(self, prompts, config, given, added, tokens, progress)
