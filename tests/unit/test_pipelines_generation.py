"""Pipelines whose models write: text-generation as the oracle has it, the others by the field's older contracts."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
import transformers
from test_tokenizer_languages import m2m100
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

import headway
from headway import InputError, WeightsError, pipeline
from headway.embedded import folder
from small import one_sentence, small_model

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

WORDS = ["the", "river", "is", "deep", "and", "cold", "but", "where", "does", "Anna", "live", "now", "in", "Rome"]
TEXTS = ["the river is", "where does Anna live now", "Anna", "the river is deep and cold but"]
CHAT = [{"role": "user", "content": "where does Anna live"}]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% if not loop.last or m['role'] != "
    "'assistant' or add_generation_prompt %}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@cache
def byte_tokenizer() -> Path:
    """A folder with a byte-level tokenizer that puts a first token before texts, and knows chats."""
    vocabulary = {token: id for id, token in enumerate(["<unk>", "<s>", "</s>", "<pad>"])}
    for symbol in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[symbol] = len(vocabulary)
    backend = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    out = Path(mkdtemp(prefix="headway-"))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        padding_side="left",
        chat_template=TEMPLATE,
    ).save_pretrained(out)
    return out


@cache
def checkpoint() -> Path:
    """A small LLaMA that the oracle saved, with its tokenizer."""
    out = byte_tokenizer()
    config = transformers.LlamaConfig(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=96,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
    )
    torch.manual_seed(3)
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_((tensor.dim() == 1) + 0.4 * torch.randn(tensor.shape))
        # Most tokens of the alphabet, rather than halves of characters.
        model.lm_head.weight[4 + 94 :] = 0
    model.save_pretrained(out)
    return out


@cache
def ours() -> Any:
    return pipeline("text-generation", str(checkpoint()), device="cpu")


@cache
def theirs() -> Any:
    return transformers.pipeline("text-generation", str(checkpoint()), device="cpu")


def words_tokenizer(**roles: Any) -> Any:
    """Whole words as tokens, with an end behind texts."""
    tokens = ["<unk>", "<one>", "</s>", "<s>", "<mask>", *WORDS, "translate:", "sum:"]
    backend = Tokenizer(models.WordLevel({token: id for id, token in enumerate(tokens)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return headway.Tokenizer(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>", **roles)


def writer(task: str, family: str = "t5", options: dict[str, Any] | None = None, **fields: Any) -> Any:
    model = small_model(family, "seq2seq-lm", vocab_size=60, **fields)
    return pipeline(task, model, tokenizer=words_tokenizer(), **(options or {}))


# --- text generation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False},
        {"do_sample": False, "return_full_text": False},
        {"do_sample": False, "num_beams": 3},
        {"do_sample": False, "num_beams": 3, "num_return_sequences": 2},
        {"do_sample": False, "prefix": "so "},
        {"do_sample": False, "add_special_tokens": False},
        {"do_sample": False, "repetition_penalty": 1.4, "return_full_text": False},
        {"do_sample": False, "stop_sequence": "a"},
        {"do_sample": False, "skip_special_tokens": False},
    ],
)
def test_texts_go_on_as_the_oracles(options: dict[str, Any]) -> None:
    options = {"max_new_tokens": 9, **options}
    for text in TEXTS:
        assert ours()(text, **options) == theirs()(text, **options)
    assert ours()(TEXTS, **options) == theirs()(TEXTS, **options)
    assert list(ours()(iter(TEXTS), **options)) == theirs()(TEXTS, **options)


@pytest.mark.parametrize(
    "chat",
    [
        CHAT,
        [{"role": "system", "content": "deep"}, *CHAT],
        [*CHAT, {"role": "assistant", "content": "in"}],
    ],
)
@pytest.mark.parametrize("full", [True, False])
def test_chats_go_on_as_the_oracles(chat: list[dict[str, str]], full: bool) -> None:
    options = {"max_new_tokens": 9, "do_sample": False, "return_full_text": full}
    assert ours()(chat, **options) == theirs()(chat, **options)
    assert ours()([chat, CHAT], **options) == theirs()([chat, CHAT], **options)
    before = [dict(message) for message in chat]
    assert chat == before


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_last_message_is_gone_on_with_as_the_oracle_does(goes_on: bool) -> None:
    chat = [*CHAT, {"role": "assistant", "content": "in"}]
    options = {"max_new_tokens": 9, "do_sample": False, "continue_final_message": goes_on}
    assert ours()(chat, **options) == theirs()(chat, **options)


def test_chats_in_several_ways_as_the_oracles() -> None:
    options = {"max_new_tokens": 9, "do_sample": False}
    for more in ({"stop_sequence": "a"}, {"num_beams": 2, "num_return_sequences": 2}, {"batch_size": 2}):
        assert ours()([CHAT, CHAT], **options, **more) == theirs()([CHAT, CHAT], **options, **more)
    cut = {"tokenizer_encode_kwargs": {"truncation": True, "max_length": 5}}
    assert ours()(TEXTS[0], **options, **cut) == theirs()(TEXTS[0], **options, **cut)


def test_ids_in_place_of_texts() -> None:
    options = {"max_new_tokens": 9, "do_sample": False}
    (mine,) = ours()(TEXTS[0], return_tensors=True, **options)
    (yours,) = theirs()(TEXTS[0], return_tensors=True, **options)
    assert mine == {"generated_token_ids": list(yours["generated_token_ids"])}


def test_a_rendered_chat_gets_no_special_tokens_again() -> None:
    tokenizer = ours().tokenizer
    prompt = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    assert prompt.startswith("<s>")
    options = {"max_new_tokens": 5, "do_sample": False, "return_tensors": True}
    (rendered,) = ours()(prompt, **options)
    (chat,) = ours()(CHAT, **options)
    assert rendered == chat
    assert chat["generated_token_ids"].count(tokenizer.bos_token_id) == 1


def test_sampling_is_the_default_and_can_be_repeated() -> None:
    def sampled() -> Any:
        return ours()(TEXTS[0], num_return_sequences=3, max_new_tokens=12, generator=torch.Generator().manual_seed(1))

    one = sampled()
    assert len({row["generated_text"] for row in one}) > 1
    assert one == sampled()


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 3}, {}])
def test_what_is_written_does_not_depend_on_the_batch(options: dict[str, Any]) -> None:
    texts = [f"{text} {'deep ' * count}" for text, count in zip(TEXTS, (4, 0, 9, 2), strict=True)]
    settings = {"max_new_tokens": 11, "do_sample": False}
    together = ours()(texts, **settings, **options)
    assert together == [ours()(text, **settings) for text in texts]


@pytest.mark.parametrize("options", [{"max_length": 30}, {"stop_strings": ["a", "e"]}])
def test_rows_that_end_apart_show_nothing_of_their_padding(options: dict[str, Any]) -> None:
    settings = {"do_sample": False, "return_tensors": True, **options}
    together = ours()(TEXTS[:3], **settings)
    assert together == [ours()(text, **settings) for text in TEXTS[:3]]


def test_prompts_that_leave_no_room() -> None:
    long = "deep " * 40
    with pytest.raises(InputError, match=r"201 tokens.*takes 96.*handle_long_generation='hole'") as caught:
        ours()([TEXTS[0], long])
    one_sentence(caught.value)
    settings = {"max_new_tokens": 10, "do_sample": False, "return_tensors": True}
    (hole,) = ours()(long, handle_long_generation="hole", **settings)
    assert len(hole["generated_token_ids"]) <= 96
    whole = ours().tokenizer(long, verbose=False)["input_ids"]
    assert hole["generated_token_ids"][:86] == whole[-86:]
    with pytest.raises(InputError, match="no room"):
        ours()(long, handle_long_generation="hole", max_new_tokens=96)
    # Nobody asked for 256 tokens: a text is as long as the model allows.
    (full,) = ours()("deep " * 10, do_sample=False, eos_token_id=[], return_tensors=True)
    assert len(full["generated_token_ids"]) == 96
    for said in ({"max_new_tokens": 80}, {"generation_config": headway.GenerationConfig(max_new_tokens=80)}):
        with pytest.raises(InputError, match="at least 80 here"):
            ours()("deep " * 10, **said)


def test_arguments_of_calls_go_before_those_of_the_pipeline() -> None:
    run = pipeline("text-generation", str(checkpoint()), max_new_tokens=3, do_sample=False, min_new_tokens=2)
    assert len(run("a", return_tensors=True)[0]["generated_token_ids"]) <= 5
    assert len(run("a", max_length=4, return_tensors=True)[0]["generated_token_ids"]) == 4
    assert run("a", max_new_tokens=7) == ours()("a", max_new_tokens=7, min_new_tokens=2, do_sample=False)
    assert run("a", generation_config=headway.GenerationConfig(num_beams=2)) == run("a", num_beams=2)


def test_the_checkpoints_own_settings_go_before_the_defaults() -> None:
    run = pipeline("text-generation", str(checkpoint()))
    run.model.generation_config.max_length = 6
    run.model.generation_config.do_sample = False
    assert len(run("a", eos_token_id=[], return_tensors=True)[0]["generated_token_ids"]) == 6
    run.model.generation_config.max_new_tokens = 9
    assert len(run("a", eos_token_id=[], return_tensors=True)[0]["generated_token_ids"]) == 11


def test_a_streamer_joins_to_the_text() -> None:
    pieces: list[str] = []
    streamer = headway.TextStreamer(
        ours().tokenizer,
        skip_prompt=True,
        on_text=lambda text, row, end: pieces.append(text),
        skip_special_tokens=True,
    )
    options = {"max_new_tokens": 9, "do_sample": False, "return_full_text": False}
    (row,) = ours()(TEXTS[0], streamer=streamer, **options)
    assert "".join(pieces) == row["generated_text"]


def test_arguments_by_the_prompts_number() -> None:
    allowed = {0: 40, 1: 50, 2: 60}
    run, options = ours(), {"do_sample": False, "return_tensors": True, "eos_token_id": []}
    # The second one's room is smaller, so it is written apart.
    found = run(["a", "deep " * 7, "b"], prefix_allowed_tokens_fn=lambda row, ids: [allowed[row]], **options)
    assert [rows[0]["generated_token_ids"][-1] for rows in found] == [40, 50, 60]


def test_an_empty_text_begins_with_the_first_token() -> None:
    options = {"max_new_tokens": 4, "do_sample": False, "add_special_tokens": False}
    assert ours()("", **options) == [
        {"generated_text": ours()("<s>", return_full_text=False, **options)[0]["generated_text"]}
    ]


def test_wrong_words_are_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'num_beams'"):
        ours()("a", num_beam=2)
    with pytest.raises(InputError, match="Did you mean 'forced_eos_token_id'"):
        ours()("a", forced_eos_tokenid=2)
    with pytest.raises(InputError, match="no option 'output_scores'"):
        ours()("a", output_scores=True)
    with pytest.raises(InputError, match="a text, or a list of messages") as caught:
        ours()([["a"]])
    one_sentence(caught.value)


def test_a_head_that_the_checkpoint_lacks_is_refused() -> None:
    with pytest.raises(WeightsError, match="no trained head for text-generation"):
        pipeline("text-generation", str(folder("text-classification")))


def test_the_task_is_told_by_the_head() -> None:
    assert pipeline(model=str(checkpoint())).task == "text-generation"
    assert pipeline(model=small_model("t5", "seq2seq-lm"), tokenizer=words_tokenizer()).task == "text2text-generation"


# --- text to text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "field"),
    [("text2text-generation", "generated"), ("summarization", "summary"), ("translation", "translation")],
)
@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_what_is_written_is_what_generate_writes(task: str, field: str, family: str) -> None:
    run = writer(task, family)
    options = {"max_new_tokens": 6, "num_beams": 2}

    def want(text: str, **more: Any) -> list[dict[str, str]]:
        ids = run.model.generate(**run.tokenizer(text, return_tensors="pt"), **options, **more)
        return [{f"{field}_text": text} for text in run.tokenizer.batch_decode(ids[:, 1:], skip_special_tokens=True)]

    assert run(TEXTS[0], **options) == want(TEXTS[0])
    assert run(TEXTS, **options) == [want(text)[0] for text in TEXTS]
    assert run(TEXTS, num_return_sequences=2, **options) == [want(text, num_return_sequences=2) for text in TEXTS]
    assert list(run(iter(TEXTS), **options)) == [want(text) for text in TEXTS]
    assert run([], **options) == []
    assert list(run(TEXTS[0], return_tensors=True, **options)[0]) == [f"{field}_token_ids"]
    with pytest.raises(InputError, match=f"{task} takes a text"):
        run([{"text": "x"}])


PARAMS = {
    "summarization": {"prefix": "sum: ", "max_length": 5, "num_beams": 1, "early_stopping": True},
    "translation_en_to_de": {"prefix": "translate: ", "max_length": 9, "num_beams": 1},
}


def test_the_checkpoints_words_for_a_task_hold() -> None:
    plain = writer("text2text-generation")
    for task, params in PARAMS.items():
        run = writer(task, task_specific_params=PARAMS)
        want = plain(params["prefix"] + TEXTS[0], num_beams=1, max_length=params["max_length"], eos_token_id=[])
        got = run(TEXTS[0], eos_token_id=[])
        assert list(got[0].values()) == list(want[0].values())
        assert run(params["prefix"] + TEXTS[0], eos_token_id=[]) == got
        ids = run(TEXTS[0], return_tensors=True, eos_token_id=[])[0]
        assert len(next(iter(ids.values()))) == params["max_length"] - 1
        ids = run(TEXTS[0], return_tensors=True, eos_token_id=[], max_new_tokens=7)[0]
        assert len(next(iter(ids.values()))) == 7
    by_options = writer("translation", options={"src_lang": "en", "tgt_lang": "de"}, task_specific_params=PARAMS)
    assert by_options(TEXTS[1]) == writer("translation_en_to_de", task_specific_params=PARAMS)(TEXTS[1])
    assert writer("text2text-generation", prefix="sum: ")(TEXTS[0]) == plain("sum: " + TEXTS[0])


def test_texts_that_are_too_long_are_cut_only_when_asked() -> None:
    run = writer("text2text-generation", "bart")
    long = "deep " * 40
    with pytest.raises(InputError, match=r"more tokens than the model takes, which are 20.*truncation=True") as caught:
        run(long)
    one_sentence(caught.value)
    for task in ("text2text-generation", "summarization", "translation"):
        run = writer(task, "bart")
        assert run(long, truncation=True) == run("deep " * 19)
    with pytest.raises(InputError, match="max_new_tokens=21 is more than the model can write"):
        run("deep", max_new_tokens=21)
    assert writer("text2text-generation", "t5")(long)  # nothing bounds its positions


LONG_TEXT = (
    "the river is deep and cold . where does Anna live now\n\n"
    "in Rome , but where in Rome ? the river is cold and deep and where is Anna . Anna is in Rome now"
)


@pytest.mark.parametrize("several", [1, 2])
def test_a_long_text_is_translated_part_by_part(several: int) -> None:
    run = writer("translation", "bart")
    options = {"max_new_tokens": 6, "num_beams": 2, "num_return_sequences": several}
    assert len(run.tokenizer(LONG_TEXT)["input_ids"]) > 20
    parts = run.divided(LONG_TEXT, "", run.options)
    assert [part.text.split()[-1] for part in parts] == ["now", "?", "now"]
    texts = [[row["translation_text"] for row in run(part.text, **options)] for part in parts]
    want = [f"{one}\n\n{two} {three}" for one, two, three in zip(*texts, strict=True)]
    assert [row["translation_text"] for row in run(LONG_TEXT, **options)] == want
    short, long = run(["the river", LONG_TEXT], **options)
    assert (long if several > 1 else [long]) == run(LONG_TEXT, **options)
    assert (short if several > 1 else [short]) == run("the river", **options)
    ids = [run(part.text, return_tensors=True, **options)[0]["translation_token_ids"] for part in parts]
    (found, *_) = run(LONG_TEXT, return_tensors=True, **options)
    assert found == {"translation_token_ids": [id for row in ids for id in row]}


def test_arguments_by_the_number_of_a_text_in_parts() -> None:
    run = writer("summarization", "bart")
    allowed = {0: 8, 1: 9}
    texts = ["where is the river . " * 9, "deep"]
    options = {"max_new_tokens": 3, "eos_token_id": [], "return_tensors": True}
    found = run(texts, prefix_allowed_tokens_fn=lambda row, ids: [allowed[row]], **options)
    assert [set(row["summary_token_ids"]) - {2} for row in found] == [{8}, {9}]
    assert len(found[0]["summary_token_ids"]) > 3


@pytest.mark.parametrize("prefix", ["", "sum: "])
def test_a_long_text_is_summarised_part_by_part(prefix: str) -> None:
    run = writer("summarization", "bart", task_specific_params={"summarization": {"prefix": prefix}})
    options = {"max_new_tokens": 6, "num_beams": 1}
    text = "where is the river . " * 9
    parts = run.divided(text, prefix, run.options)
    assert "".join(part.text + part.after for part in parts) == text
    assert all(len(run.tokenizer(prefix + part.text)["input_ids"]) <= 20 for part in parts)
    assert all(part.text.endswith(".") for part in parts[:-1])
    (whole,) = run(text, **options)
    assert whole["summary_text"] == " ".join(run(part.text, **options)[0]["summary_text"].strip() for part in parts)
    with pytest.raises(InputError, match="which the prefix"):
        writer("summarization", "bart", prefix="deep " * 30)(text)


def test_languages_of_real_files(tmp_path: Path) -> None:
    tokenizer = headway.AutoTokenizer.from_pretrained(m2m100(tmp_path))
    model = small_model("m2m_100", "seq2seq-lm", vocab_size=len(tokenizer), max_position_embeddings=64)
    options = {"max_new_tokens": 5, "num_beams": 2}
    run = pipeline("translation_en_to_de", model, tokenizer=tokenizer)
    found = run(TEXTS[:2], **options)
    assert tokenizer.src_lang == "fr"
    tokenizer.src_lang = "en"
    target = tokenizer.get_lang_id("de")
    for text, answer in zip(TEXTS, found, strict=False):
        ids = model.generate(**tokenizer(text, return_tensors="pt"), forced_bos_token_id=target, **options)
        assert answer == {"translation_text": tokenizer.decode(ids[0], skip_special_tokens=True)}
    with pytest.raises(InputError, match="no language 'xy'"):
        run(TEXTS[0], src_lang="xy")
    assert tokenizer.src_lang == "en"


class Speaking:
    """Stands for a tokenizer that knows two languages: the text's own stands before it."""

    def __init__(self) -> None:
        self.words, self.src_lang, self.tgt_lang = words_tokenizer(), "en", None
        self.lang_code_to_id = {"en": 40, "de": 41}
        self.model_max_length = 512

    def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
        rows = self.words(texts, **options)["input_ids"]
        return {"input_ids": [[self.lang_code_to_id[self.src_lang], *row] for row in rows]}

    def get_lang_id(self, code: str) -> int:
        if code not in self.lang_code_to_id:
            raise InputError(f"There is no language {code!r}.")
        return self.lang_code_to_id[code]

    def decode(self, ids: list[int], **_: Any) -> str:
        return " ".join(map(str, ids))


@pytest.mark.parametrize(
    ("family", "start", "said"),
    [
        ("m2m_100", 2, {"forced_bos_token_id": 41}),
        ("mbart", 2, {"forced_bos_token_id": 41}),
        ("mbart", 40, {"decoder_start_token_id": 41}),
    ],
)
def test_languages(family: str, start: int, said: dict[str, int]) -> None:
    model = small_model(family, "seq2seq-lm", decoder_start_token_id=start)
    model.generation_config.forced_bos_token_id = None
    tokenizer = Speaking()
    run = pipeline("translation", model, tokenizer=tokenizer)
    options = {"max_new_tokens": 5, "num_beams": 1}
    ids = torch.tensor([[41, *tokenizer.words(TEXTS[0])["input_ids"]]])
    want = model.generate(ids, **options, **said)[0, 1:].tolist()
    found = run(TEXTS[0], src_lang="de", tgt_lang="de", return_tensors=True, **options)
    assert found == [{"translation_token_ids": want}]
    assert tokenizer.src_lang == "en"
    named = pipeline("translation_de_to_de", model, tokenizer=tokenizer)
    assert named(TEXTS[0], return_tensors=True, **options) == found
    if start == 2:
        with pytest.raises(InputError, match="pass tgt_lang=, one of de, en") as caught:
            run(TEXTS[0])
        one_sentence(caught.value)
    with pytest.raises(InputError, match="no language"):
        run(TEXTS[0], tgt_lang="xx")
