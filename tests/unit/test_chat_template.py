"""Chat templates: prompts equal transformers', special tokens come once, templates are kept in their sandbox."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from test_tokenizer_made import folder, ours, theirs, write_json

from headway.auto.tokenizer import AutoTokenizer
from headway.errors import InputError, TokenizerError

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello <there>, é!"},
    {"role": "assistant", "content": "Hi, how are you?"},
    {"role": "user", "content": "Fine."},
    {"role": "assistant", "content": "Good to hear"},
]
PLAIN = (
    "{{ bos_token }}{% for message in messages %}\n"
    "    {% if message.role == 'skip' %}{% continue %}{% endif %}\n"
    "[{{ message.role }}]{% if message.role == 'assistant' %}"
    "{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ message.content | trim }}{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


def with_template(template: Any, kind: str = "llama") -> tuple[Any, Any]:
    mine = AutoTokenizer.from_pretrained(folder(kind))
    mine.chat_template = template
    oracle = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(folder(kind))
    oracle.chat_template = template
    return mine, oracle


OPTIONS: list[dict[str, Any]] = [
    {},
    {"add_generation_prompt": True},
    {"continue_final_message": True},
    {"tokenize": False},
    {"tokenize": False, "add_generation_prompt": True},
    {"tokenize": False, "continue_final_message": True},
    {"return_dict": False},
    {"return_dict": False, "return_tensors": "np"},
    {"return_tensors": "pt"},
    {"return_assistant_tokens_mask": True},
    {"return_assistant_tokens_mask": True, "return_tensors": "np"},
    {"truncation": True, "max_length": 20},
    {"padding": "max_length", "max_length": 200, "return_assistant_tokens_mask": True},
]


def plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return [(name, plain(item)) for name, item in value.items()]
    return value.tolist() if hasattr(value, "tolist") else value


@pytest.mark.parametrize("kind", ["llama", "wordpiece", "gpt2"])
@pytest.mark.parametrize("options", OPTIONS)
def test_chats_equal_transformers(kind: str, options: dict[str, Any]) -> None:
    mine, oracle = with_template(PLAIN, kind)
    assert plain(mine.apply_chat_template(CHAT, **options)) == plain(oracle.apply_chat_template(CHAT, **options))
    batch = [CHAT, CHAT[:3]]
    options = {**options, "padding": options.get("padding", True)}
    assert plain(mine.apply_chat_template(batch, **options)) == plain(oracle.apply_chat_template(batch, **options))


def test_special_tokens_come_once() -> None:
    mine, _ = with_template(PLAIN)
    ids = mine.apply_chat_template(CHAT)["input_ids"]
    assert ids.count(mine.bos_token_id) == 1
    prompt = mine.apply_chat_template(CHAT, tokenize=False)
    assert prompt.startswith("<s>")
    assert mine(prompt)["input_ids"] == ids  # though a call adds special tokens to any other text
    assert mine([prompt, prompt])["input_ids"] == [ids, ids]
    assert mine.tokenize(prompt, add_special_tokens=True).count("<s>") == 1
    with pytest.raises(InputError, match="Some rows are rendered chats"):
        mine([prompt, "a"])
    assert mine([prompt, "a"], add_special_tokens=False)["input_ids"][0] == ids


def test_a_prompt_without_special_tokens_gets_them_from_a_call() -> None:
    mine, _ = with_template("{{ messages[0].content }}")
    prompt = mine.apply_chat_template(CHAT, tokenize=False)
    assert mine(prompt)["input_ids"] == mine("Be brief.")["input_ids"]
    assert mine(prompt)["input_ids"][0] == mine.bos_token_id


def test_the_assistants_tokens_are_what_it_wrote() -> None:
    mine, _ = with_template(PLAIN, "gpt2")
    encoding = mine.apply_chat_template(CHAT, return_assistant_tokens_mask=True)
    wrote = [id for id, mask in zip(encoding["input_ids"], encoding["assistant_masks"], strict=True) if mask]
    assert mine.decode(wrote) == f"Hi, how are you?{mine.eos_token}Good to hear{mine.eos_token}"


def test_the_mask_of_pieces() -> None:
    mine, _ = with_template(PLAIN, "gpt2")
    cut = {"truncation": True, "max_length": 30, "tokenizer_kwargs": {"return_overflowing_tokens": True}}
    pieces = mine.apply_chat_template([CHAT, CHAT[:3]], return_assistant_tokens_mask=True, **cut)
    whole = mine.apply_chat_template(CHAT, return_assistant_tokens_mask=True)
    first = [
        masks
        for owner, masks in zip(pieces["overflow_to_sample_mapping"], pieces["assistant_masks"], strict=True)
        if owner == 0
    ]
    assert len(first) > 1
    assert [mask for piece in first for mask in piece] == whole["assistant_masks"]


def test_continuing_a_message() -> None:
    trimmed, _ = with_template("{% for m in messages %}<{{ m.content | trim }}>{% endfor %}")
    cut = {"tokenize": False, "continue_final_message": True}
    assert trimmed.apply_chat_template([{"role": "user", "content": "go on "}], **cut) == "<go on"
    kept, _ = with_template("{% for m in messages %}<{{ m.content }}>{% endfor %}")
    assert kept.apply_chat_template([{"role": "user", "content": "go on "}], **cut) == "<go on "
    # The content may be found again in what follows it, or before.
    end, _ = with_template("e{% for m in messages %}{{ m.content }}<|end|>e{% endfor %}")
    assert end.apply_chat_template([{"role": "user", "content": "e"}], **cut) == "ee"
    parts, _ = with_template("{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}!{% endfor %}")
    message: dict[str, Any] = {
        "role": "user",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }
    assert parts.apply_chat_template([message], **cut) == "ab"
    assert message["content"][1]["text"] == "b"
    thought, _ = with_template("{% for m in messages %}({{ m.thinking }}){{ m.content }}{% endfor %}")
    message = {"role": "user", "content": "c", "thinking": "hm"}
    assert thought.apply_chat_template([message], tokenize=False, continue_final_message="thinking") == "(hm"
    with pytest.raises(InputError, match="contradicts continue_final_message"):
        kept.apply_chat_template(CHAT, continue_final_message=True, add_generation_prompt=True)
    silent, _ = with_template("nothing")
    with pytest.raises(TokenizerError, match="does not print the 'content'"):
        silent.apply_chat_template(CHAT, **cut)
    with pytest.raises(InputError, match="final message with text in 'content'"):
        kept.apply_chat_template([{"role": "user", "content": None}], **cut)


def weather(
    place: str, unit: Literal["C", "F"] = "C", days: list[int] | None = None, exact: bool | None = None, n: float = 1.0
) -> str:
    """Tell the weather.

    It is sometimes right.

    Args:
        place: The city,
            with its country.
        unit: The unit (choices: ["C", "F"])
        days: Which days
        exact: Whether to be exact
        n: A number

    Returns:
        The weather in words.
    """
    return place + unit


def test_tools_and_documents_equal_transformers() -> None:
    template = "{{ tools | tojson }}\n{{ tools | tojson(indent=2) }}{{ documents | tojson(sort_keys=true) }}{{ extra }}"
    mine, oracle = with_template(template)
    options: dict[str, Any] = {"documents": [{"title": "é <b>'\"&", "text": "q"}], "tokenize": False, "extra": 7}
    for tools in ([weather], [{"type": "function", "function": {"name": "f"}}], None):
        expected = oracle.apply_chat_template(CHAT, tools=tools, **options)
        assert mine.apply_chat_template(CHAT, tools=tools, **options) == expected


def test_tools_that_cannot_be_described_are_told() -> None:
    mine, _ = with_template("{{ tools | tojson }}")

    def bare(a):  # type: ignore[no-untyped-def]
        """Do something."""

    def silent(a: int) -> None: ...

    def strange(a: set) -> None:  # type: ignore[type-arg]
        """Do something.

        Args:
            a: what
        """

    for tool, message in (
        (bare, "must give its argument 'a' a type hint"),
        (silent, "must have a docstring"),
        (strange, "which JSON cannot say"),
        ("text", "must be a function or a JSON schema"),
    ):
        with pytest.raises(InputError, match=message):
            mine.apply_chat_template(CHAT, tools=[tool], tokenize=False)


def test_named_templates() -> None:
    mine, oracle = with_template({"default": "D", "tool_use": "T", "rag": "R"})
    for options in ({}, {"tools": [{"a": 1}]}, {"chat_template": "rag"}, {"chat_template": "{{ 'own' }}"}):
        expected = oracle.apply_chat_template(CHAT, tokenize=False, **options)
        assert mine.apply_chat_template(CHAT, tokenize=False, **options) == expected
        assert mine.get_chat_template(**options) == oracle.get_chat_template(**options)
    with pytest.raises(TokenizerError, match=r"no chat template 'ragg'.* Did you mean 'rag'"):
        mine.get_chat_template("ragg")
    mine.chat_template = {"rag": "R"}
    with pytest.raises(TokenizerError, match="no default chat template"):
        mine.get_chat_template()
    mine.chat_template = None
    with pytest.raises(TokenizerError, match="has no chat template"):
        mine.apply_chat_template(CHAT)


@pytest.mark.parametrize("place", ["config", "config list", "jinja", "json", "folder"])
def test_templates_are_found_where_checkpoints_have_them(place: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to(folder("llama") / "tokenizer.json")
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if place == "config":
        config["chat_template"] = "D"
    elif place == "config list":
        config["chat_template"] = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]
    elif place == "json":
        write_json(tmp_path / "chat_template.json", {"chat_template": "D"})
    else:
        config["chat_template"] = "outranked"
        (tmp_path / "chat_template.jinja").write_text("D", "utf-8")
    if place == "folder":
        (tmp_path / "additional_chat_templates").mkdir()
        (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_text("T", "utf-8")
    write_json(tmp_path / "tokenizer_config.json", config)
    mine = AutoTokenizer.from_pretrained(tmp_path)
    several = place in ("config list", "folder")
    assert mine.chat_template == ({"default": "D", "tool_use": "T"} if several else "D")
    if place != "json":  # which transformers reads for processors only
        assert (
            mine.chat_template
            == pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path).chat_template
        )
    assert AutoTokenizer.from_pretrained(tmp_path, chat_template="mine").chat_template == "mine"


FAILURES = [
    ("{{ raise_exception('roles must alternate') }}", "The chat template failed: roles must alternate."),
    ("{{ messages.nothing.more }}", "The chat template failed: .*has no attribute 'nothing'"),
    ("{% for m in messages %}", "The chat template is not valid in line 1: "),
    ("{{ messages | nofilter }}", "The chat template is not valid"),
    ("{{ 1 // 0 }}", "The chat template failed: "),
    ("{{ messages + 1 }}", "The chat template failed: "),
]


@pytest.mark.parametrize(("template", "message"), FAILURES)
def test_failures_are_told_in_one_sentence(template: str, message: str) -> None:
    with pytest.raises(TokenizerError, match=message) as caught:
        ours("llama").apply_chat_template(CHAT, chat_template=template, tokenize=False)
    assert "\n" not in str(caught.value)


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__ }}",
    "{{ raise_exception.__globals__['__builtins__'] }}",
    "{{ strftime_now.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ ('{0.__class__}' | format(messages)) ~ '{0.__class__.__init__}'.format(messages) }}",
    "{% set x = messages.append({'role': 'user', 'content': 'injected'}) %}",
    "{{ messages[0].update({'content': 'changed'}) }}",
    "{{ messages.clear() }}",
    "{% for i in range(10000000) %}x{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_the_sandbox_holds(template: str) -> None:
    chat = [dict(message) for message in CHAT]
    try:
        text = ours("llama").apply_chat_template(chat, chat_template=template, tokenize=False)
    except TokenizerError:
        text = ""
    assert "class" not in text
    assert "builtins" not in text
    assert chat == CHAT


def test_misspelt_arguments_are_told_and_variables_let_through() -> None:
    mine, _ = with_template("{{ messages[0].content }}{{ enable_thinking }}")
    with pytest.raises(InputError, match=r"no argument 'add_generation_promt'\. Did you mean 'add_generation_prompt'"):
        mine.apply_chat_template(CHAT, add_generation_promt=True)
    with pytest.raises(InputError, match="sanitize_control_tokens"):
        mine.apply_chat_template(CHAT, sanitize_control_tokens=True)
    assert mine.apply_chat_template(CHAT, enable_thinking=1, tokenize=False) == "Be brief.1"
    assert mine.apply_chat_template(CHAT, for_another_template=1, tokenize=False) == "Be brief."


def test_conversations_are_checked() -> None:
    mine, _ = with_template(PLAIN)
    for conversation, message in (
        ("Hello", "must be a list of messages"),
        (CHAT[0], "must be a list of messages"),
        ([], "at least one message"),
        ([[]], "at least one message"),
        ([{"content": "a"}], "with 'role' and 'content'"),
        ([CHAT, ["a"]], "must be a dictionary"),
        (5, "must be a list of messages"),
    ):
        with pytest.raises(InputError, match=message):
            mine.apply_chat_template(conversation)
    with pytest.raises(InputError, match="needs tokenize=True and return_dict=True"):
        mine.apply_chat_template(CHAT, tokenize=False, return_assistant_tokens_mask=True)


def test_what_a_template_may_use() -> None:
    mine, oracle = with_template("{{ strftime_now('%Y') }}|{{ bos_token }}|{{ nothing }}|{{ 'é' | tojson }}")
    prompt = mine.apply_chat_template(CHAT, tokenize=False)
    assert prompt == oracle.apply_chat_template(CHAT, tokenize=False)
    assert json.loads(prompt.split("|")[-1]) == "é"
    assert theirs("llama").chat_template is None
