"""The part of a tokenizer that renders and tokenizes chats."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Any

from tokenizers import Encoding

from headway.errors import InputError
from headway.tokenization import chat
from headway.tokenization.calling import Calling
from headway.tokenization.options import reject_unknown
from headway.tokenization.tensors import tensor_kind, to_tensor

# Arguments of transformers that a caller relies on, so that they must not pass for variables of the template.
_UNSUPPORTED = ("sanitize_control_tokens",)


class Chatting(Calling):
    """The part of a tokenizer that knows how its model was shown chats."""

    chat_template: chat.Templates

    def get_chat_template(self, chat_template: str | None = None, tools: Sequence[Any] | None = None) -> str:
        """Return the template that a chat is rendered with: a name, or a template as text, goes before the default.

        Raises TokenizerError if there is none.
        """
        return chat.choose(self.chat_template, chat_template, bool(tools))

    def apply_chat_template(
        self,
        conversation: Any,
        tools: Sequence[Any] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        tokenize: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = True,
        return_assistant_tokens_mask: bool = False,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        **template_kwargs: Any,
    ) -> Any:
        """Render a chat as the model was trained to see it, and tokenize it.

        The prompt holds its special tokens, so none are added.

        Args:
            conversation: a list of messages such as ``{"role": "user", "content": "Hello"}``, or a batch of such lists.
            tools: functions, or their JSON schemas, that the model may call.
            documents: what the model may quote, as dictionaries.
            chat_template: a template, or the name of one of the tokenizer's.
            add_generation_prompt: end with the start of the assistant's answer.
            continue_final_message: leave the final message open, for the model to go on with; True for its "content",
                or the name of another field.
            tokenize: False returns the text.
            padding, truncation, max_length, return_tensors: as in ``__call__``, whose other arguments go into
                ``tokenizer_kwargs``.
            return_dict: False returns the input ids alone.
            return_assistant_tokens_mask: add "assistant_masks": 1 for what ``{% generation %}`` encloses.
            template_kwargs: further variables of the template.

        Returns:
            BatchEncoding, or ids, or a string; a list of them for a batch.

        Raises:
            TokenizerError: there is no template, or it fails.
            InputError: the conversation or the arguments have no sense.
        """
        conversations, is_batch = chat.as_conversations(conversation)
        template = self.get_chat_template(chat_template, tools)
        if continue_final_message and add_generation_prompt:
            raise InputError("add_generation_prompt starts a new message: it contradicts continue_final_message.")
        if return_assistant_tokens_mask and not (tokenize and return_dict):
            raise InputError("return_assistant_tokens_mask needs tokenize=True and return_dict=True.")
        _check_variables(self.apply_chat_template, template, template_kwargs)
        if tools:
            from headway.tokenization.tools import tool_schema

            tools = [tool_schema(tool) for tool in tools]
        variables = {
            **self.special_tokens_map,
            "tools": tools or None,
            "documents": documents,
            "add_generation_prompt": add_generation_prompt,
            **template_kwargs,
        }
        rendered = [
            chat.render(template, messages, variables, continue_final_message, return_assistant_tokens_mask)
            for messages in conversations
        ]
        prompts = [chat.Prompt(prompt.text) for prompt in rendered]
        if not tokenize:
            return prompts if is_batch else prompts[0]
        encoding = self(
            prompts if is_batch else prompts[0],
            add_special_tokens=False,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
            **(tokenizer_kwargs or {}),
        )
        if not return_dict:
            return encoding["input_ids"]
        if return_assistant_tokens_mask:
            rows = encoding.encodings or []
            owners = encoding.get("overflow_to_sample_mapping", range(len(rows)))
            masks = [_mask(row, rendered[owner].spans) for row, owner in zip(rows, owners, strict=True)]
            kind = tensor_kind(return_tensors)
            encoding["assistant_masks"] = (
                to_tensor("assistant_masks", masks, kind) if kind else masks if is_batch else masks[0]
            )
        return encoding


def _mask(row: Encoding, spans: list[tuple[int, int]]) -> list[int]:
    """Return 1 for each token that shares a character with a span."""
    return [
        int(any(start < end and start < last and first < end for first, last in spans)) for start, end in row.offsets
    ]


def _check_variables(function: Callable[..., Any], template: str, given: Mapping[str, Any]) -> None:
    """Raise InputError for a variable that the template does not read and that looks like a misspelt argument.

    Others pass: programs give variables that only some models' templates know.
    """
    read = chat.variables_of(template) if given else set()
    arguments = (*signature(function).parameters, *read)
    for name in given.keys() - read:
        if name in _UNSUPPORTED or get_close_matches(name, arguments, cutoff=0.85):
            reject_unknown(function, {name: given[name]}, arguments)
