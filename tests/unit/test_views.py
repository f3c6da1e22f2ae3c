"""Attention maps: the numbers that a page holds are the model's, and it needs and lets in nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from headway import AttentionView, AutoTokenizer, InputError, MissingExtraError, attention_view
from headway.embedded import folder
from headway.views.tokens import readable
from small import one_sentence, small_model

TEXT = "Wolfgang lives in Berlin."
EVIL = '</script><script>alert(1)</script> <img src=x onerror=alert(2)> & "quoted" $x_1$ 日本'


def tokenizer() -> Any:
    made = AutoTokenizer.from_pretrained(folder("fill-mask"))
    made.model_input_names = ["input_ids", "attention_mask"]
    return made


def model(family: str, task: str = "base", **values: Any) -> Any:
    return small_model(family, task, vocab_size=len(tokenizer()), max_position_embeddings=64, **values)


class Reader(HTMLParser):
    """The elements of a page, and the texts of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    def inside(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def data_of(page: str) -> Any:
    return json.loads(Reader(page).inside("script")[0])


def weights_of(maps: Any) -> np.ndarray[Any, Any]:
    roots = np.frombuffer(base64.b64decode(maps["roots"]), np.uint8) / 255
    shape = (len(maps["layers"]), len(maps["heads"]), len(maps["queries"]), len(maps["keys"]))
    return roots.reshape(shape) ** 2


# --- what a page shows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "mistral", "deberta-v2", "albert"])
def test_the_weights_in_a_page_are_the_models(family: str, tmp_path: Path) -> None:
    net, tokens = model(family), tokenizer()
    view = attention_view(net, tokens, TEXT)
    view.save(tmp_path / "view.html")
    with torch.no_grad():
        found = net(**tokens(TEXT, return_tensors="pt"), output_attentions=True).attentions
    expected = torch.stack(found)[:, 0].numpy()
    assert view.weights.shape == (2, 4, len(view.tokens), len(view.tokens))
    np.testing.assert_array_equal(view.weights, expected)
    (maps,) = data_of((tmp_path / "view.html").read_text())["maps"]
    # A byte of the square root is off by half a step at most.
    np.testing.assert_allclose(np.sqrt(weights_of(maps)), np.sqrt(expected), atol=0.5 / 255 + 1e-6)
    assert maps["queries"] == maps["keys"] == readable(view.tokens)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_decoder_shows_three_maps(family: str) -> None:
    net, tokens = model(family, "seq2seq-lm"), tokenizer()
    view = attention_view(net, tokens, TEXT, target="Berlin is large")
    source, target = tokens(TEXT, return_tensors="pt"), tokens("Berlin is large", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found = net(**source, labels=target, output_attentions=True)
    for name in ("encoder", "decoder", "cross"):
        field = found[f"{name}_attentions"]
        np.testing.assert_array_equal(view.maps[name].weights, torch.stack(field)[:, 0].numpy())
    start = tokens.convert_ids_to_tokens(net.config.decoder_start_token_id)
    if family == "t5":
        assert view.maps["cross"].queries == (start, *tokens.convert_ids_to_tokens(target[0])[:-1])
    assert view.maps["cross"].keys == view.tokens == tuple(tokens.convert_ids_to_tokens(source["input_ids"][0]))
    assert [maps["name"] for maps in data_of(view._repr_html_())["maps"]] == ["encoder", "decoder", "cross"]


def test_without_a_target_an_encoder_decoder_shows_what_it_writes() -> None:
    net, tokens = model("t5", "seq2seq-lm"), tokenizer()
    written = net.generate(**tokens(TEXT, return_tensors="pt"), do_sample=False, num_beams=1)
    view = attention_view(net, tokens, TEXT)
    assert view.maps["decoder"].keys == tuple(tokens.convert_ids_to_tokens(written[0]))


def test_outputs_at_hand_can_be_shown() -> None:
    net, tokens = model("bert"), tokenizer()
    batch = tokens([TEXT, "No."], padding=True, return_tensors="pt")
    outputs = net(**batch, output_attentions=True)
    named = tokens.convert_ids_to_tokens(batch["input_ids"][1])
    for given in (outputs, outputs.attentions, [layer.detach().numpy() for layer in outputs.attentions]):
        view = AttentionView(given, named, row=1)
        np.testing.assert_array_equal(view.weights, torch.stack(outputs.attentions)[:, 1].detach().numpy())
    cross = AttentionView([layer[:, :, :3] for layer in outputs.attentions], named, ["a", "b", "c"], row=1)
    assert cross.maps["cross"].queries == ("a", "b", "c")


def test_layers_and_heads_are_chosen_by_number() -> None:
    whole = attention_view(model("bert"), tokenizer(), TEXT)
    some = attention_view(model("bert"), tokenizer(), TEXT, layers=[-1], heads=[2, 0])
    np.testing.assert_array_equal(some.weights, whole.weights[[1]][:, [2, 0]])
    (maps,) = some.data()["maps"]
    assert (maps["layers"], maps["heads"]) == ((1,), (2, 0))


def test_a_model_is_run_without_dropout_and_left_as_it_was() -> None:
    net, tokens = model("bert", attention_probs_dropout_prob=0.5), tokenizer()
    still = attention_view(net, tokens, TEXT)
    view = attention_view(net.train(), tokens, TEXT)
    np.testing.assert_array_equal(view.weights, still.weights)
    assert net.training


# --- how it is written --------------------------------------------------------------------------------------------


def test_texts_stay_texts(tmp_path: Path) -> None:
    weights = [torch.full((1, 1, 2, 2), 0.5)]
    view = AttentionView(weights, [EVIL, "b"], title=EVIL)
    page, notebook = tmp_path / "view.html", view._repr_html_()
    view.save(page)
    for text, elements in ((page.read_text(), {"html", "head", "meta", "title", "body"}), (notebook, set())):
        found = Reader(text)
        assert {tag for tag, _ in found.tags} == elements | {"div", "style", "p", "script"}
        assert [tag for tag, _ in found.tags].count("script") == 2
        assert data_of(text)["maps"][0]["keys"] == [EVIL.replace(" ", "␣"), "b"]
        assert data_of(text)["title"] == EVIL
    view.save(tmp_path / "view.svg")
    tree = ElementTree.parse(tmp_path / "view.svg")
    assert EVIL in [node.text for node in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert {node.tag.partition("}")[2] for node in tree.iter()} <= {"svg", "title", "rect", "g", "path", "text"}


def test_a_page_forbids_itself_all_but_its_own_style_and_script(tmp_path: Path) -> None:
    attention_view(model("bert"), tokenizer(), TEXT).save(tmp_path / "view.html")
    text = (tmp_path / "view.html").read_text()
    found = Reader(text)
    policy = next(values["content"] for tag, values in found.tags if values.get("http-equiv")) or ""
    for kind, content in (("style", found.inside("style")[0]), ("script", found.inside("script")[1])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"https?://|@import|url\(", text)
    # An attribute with style would be forbidden, and ids would be those of another view in the same notebook.
    assert not any({"style", "id", "src", "href"} & set(values) for _, values in found.tags)


@pytest.mark.parametrize("ending", ["html", "svg", "png"])
def test_the_same_view_gives_the_same_bytes(ending: str, tmp_path: Path) -> None:
    if ending == "png":
        pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        attention_view(model("bert"), tokenizer(), TEXT).save(tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one.{ending}", f"two.{ending}"]


@pytest.mark.parametrize("heads", [None, [1]])
def test_a_png_is_drawn_without_a_warning(heads: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    view = AttentionView([torch.rand(1, 2, 2, 2)] * 2, [EVIL, "b"], layers=heads, heads=heads)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view.save(tmp_path / "view.png")
    assert (tmp_path / "view.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_an_svg_of_one_head_has_a_cell_for_each_weight(tmp_path: Path) -> None:
    weights = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    AttentionView([weights[None, None]], ["left", "right"]).save(tmp_path / "view.svg")
    tree = ElementTree.parse(tmp_path / "view.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    cells = {node.get("d"): float(node.get("fill-opacity") or 0) for node in tree.iter(f"{space}path")}
    assert cells["M0 0h1v1h-1z"] == 1.0
    assert 0 < cells["M0 1h1v1h-1z"] < cells["M1 1h1v1h-1z"] < 1
    assert len(cells) == 3
    assert [node.text for node in tree.iter(f"{space}text")].count("left") == 2


# --- tokens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (["[CLS]", "play", "##ing", ".", "##", "[SEP]"], ["[CLS]", "play", "·ing", ".", "##", "[SEP]"]),
        (["Hello", "Ġwor", "ld", "!", "Ċ", "Ġ", "ĠcafÃ©"], ["Hello", "wor", "·ld", "!", "⏎", "␣", "café"]),
        (["don", "'", "t", "Ġgo"], ["don", "'", "t", "go"]),
        (["<s>", "▁Hel", "lo", ",", "▁", "▁▁x", "</s>"], ["<s>", "Hel", "·lo", ",", "␣", "␣x", "</s>"]),
        (["Ġa", "ðŁ", "Ļ", "Ĥ"], ["a", "<F09F>", "<99>", "<82>"]),
        (["ä½łå¥½", "ä¸ĸ"], ["你好", "世"]),
        (["café", "naïve", "łódź", "日本"], ["café", "naïve", "łódź", "日本"]),
        (["", None], ["∅", "∅"]),
    ],
)
def test_tokens_are_readable(tokens: list[str | None], shown: list[str]) -> None:
    assert readable(tokens) == shown


# --- what is refused ----------------------------------------------------------------------------------------------


def some(rows: int = 1, heads: int = 2, width: int = 3) -> list[torch.Tensor]:
    return [torch.rand(rows, heads, width, width) for _ in range(2)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AttentionView(some(), ["a", "b"]), "have 3 queries, but there are 2 tokens"),
        (lambda: AttentionView((), ["a"]), "output_attentions=True"),
        (lambda: AttentionView({"logits": 1}, ["a"]), "output_attentions=True"),
        (lambda: AttentionView(some(), "abc", layers=[2]), "no layer 2: there are 2, numbered from 0 to 1"),
        (lambda: AttentionView(some(), "abc", heads=[]), "No head is chosen"),
        (lambda: AttentionView(some(), "abc", row=1), "no row 1"),
        (lambda: AttentionView([*some(), *some(width=4)], "abc"), "one shape"),
        (lambda: AttentionView([torch.zeros(1, 1, 4100, 4100)], ["a"] * 4100), "16,810,000 numbers"),
        (lambda: AttentionView(some(), "abc").save("view.gif"), "'view.gif' tells no format"),
        (lambda: AttentionView(some(), "abc").save("no/such/folder/view.html"), "cannot be written"),
        (lambda: attention_view(model("bert"), tokenizer(), TEXT, target="x"), "BertModel is not"),
        (lambda: attention_view(model("t5"), tokenizer(), TEXT), "pass target="),
        (lambda: attention_view(model("mamba2"), tokenizer(), TEXT), "Mamba2Model has no attention weights"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert message in one_sentence(error.value)


def test_pictures_that_are_too_large_are_refused(tmp_path: Path) -> None:
    view = AttentionView([torch.zeros(1, 1, 700, 700)], ["a"] * 700)
    with pytest.raises(InputError, match="490,000 cells"):
        view.save(tmp_path / "view.svg")
    pytest.importorskip("matplotlib")
    view = AttentionView([torch.zeros(1, 1, 900, 2)], ["a"] * 2, ["b"] * 900)
    with pytest.raises(InputError, match="pixels"):
        view.save(tmp_path / "view.png")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.colors", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install headway[viz]")):
        AttentionView(some(), "abc").save(tmp_path / "view.png")
