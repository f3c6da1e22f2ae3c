"""The table of names: read in both directions, for every family and task."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import ConfigError
from headway.families import bart, gpt2
from headway.layouts import FusedColumns
from headway.models.assemble import model_class
from headway.models.load import slots, stored_tensors
from headway.models.plan import BASE, plan
from headway.names import Names, Stored, Templates, Translation, each, language_model, older_spellings, stacks
from headway.registry import families
from small import PAIRS, small_config, small_model

# --- templates ----------------------------------------------------------------------------------------------------


def test_a_literal_wins_over_a_placeholder_whatever_the_order() -> None:
    for order in (("layers.{i}.a", "layers.0.a"), ("layers.0.a", "layers.{i}.a")):
        table = Templates()
        for template in order:
            table.add(template, template)
        assert table.find("layers.0.a") == ("layers.0.a", {})
        assert table.find("layers.7.a") == ("layers.{i}.a", {"i": "7"})


def test_a_literal_that_leads_nowhere_gives_way_to_the_placeholder() -> None:
    table = Templates()
    table.add("layers.0.b", "literal")
    table.add("layers.{i}.a", "any")
    assert table.find("layers.0.a") == ("any", {"i": "0"})


def test_a_placeholder_stands_for_one_number() -> None:
    table = Templates()
    table.add("layers.{i}.experts.{j}.w", "row")
    assert table.find("layers.3.experts.12.w") == ("row", {"i": "3", "j": "12"})
    for name in ("layers.x.experts.1.w", "layers.3.experts.w", "layers.3.experts.1", "layers.3.experts.1.w.w", ""):
        assert table.find(name) is None


segment = st.sampled_from(["a", "b", "{i}", "0", "1"])
template = st.lists(segment, min_size=1, max_size=4).map(".".join)


@given(st.lists(template, max_size=8), st.lists(st.sampled_from(["a", "b", "0", "1", "2"]), min_size=1, max_size=4))
def test_a_look_up_finds_a_template_that_fits_if_there_is_one(templates: list[str], name: list[str]) -> None:
    table = Templates()
    shapes = {}
    for text in templates:
        if text in shapes:
            with pytest.raises(ConfigError, match="stands twice"):
                table.add(text, text)
        else:
            table.add(text, text)
            shapes[text] = text
    assert sorted(table) == sorted(shapes)

    def fits(text: str) -> bool:
        parts = text.split(".")
        return len(parts) == len(name) and all(
            part == here or (part == "{i}" and here.isdecimal()) for part, here in zip(parts, name, strict=True)
        )

    found = table.find(".".join(name))
    fitting = [text for text in shapes if fits(text)]
    assert (found is None) == (not fitting)
    if found is not None:
        assert found[0] in fitting


@pytest.mark.parametrize("second", ["layers.{i}.a", "layers.{j}.a"])
def test_two_templates_of_one_shape_are_refused(second: str) -> None:
    table = Templates()
    table.add("layers.{i}.a", 1)
    with pytest.raises(ConfigError, match=r"layers.\{[ij]\}.a"):
        table.add(second, 2)


# --- tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        {"a": "x", "b": "x"},
        {"layers.{i}.a": "x.{i}", "layers.{i}.b": "x.{i}"},
        {"layers.{i}.a": "x.{i}", "layers.{j}.b": "x.{j}"},
        {"layers.{i}.a": "x", "layers.{j}.a": "y"},
        {("a", "b"): "x", "a": "y"},
    ],
)
def test_a_table_whose_rows_clash_is_refused(rows: dict[Any, str]) -> None:
    with pytest.raises(ConfigError, match="stands twice"):
        Translation(Names("model", rows), BASE, {})


def test_a_head_row_may_not_take_a_name_of_the_backbone() -> None:
    names = Names("model", {"a": "x"})
    with pytest.raises(ConfigError, match=r"model\.x"):
        Translation(names, "sequence-classification", {"out": "model.x"})


def test_a_parameter_without_a_row() -> None:
    translation = Translation(Names("model", {"a": "x"}), "some-head", {})
    assert translation.place("head.out.weight").stored == "out.weight"
    with pytest.raises(ConfigError, match=r"'backbone\.b\.weight'"):
        translation.place("backbone.b.weight")


def test_each_puts_both_paths_before_every_row() -> None:
    rows = {"q": "query", ("k", "v"): Stored("kv", FusedColumns(2))}
    assert each("layers.{i}", "h.{i}", rows) == {
        "layers.{i}.q": "h.{i}.query",
        ("layers.{i}.k", "layers.{i}.v"): Stored("h.{i}.kv", FusedColumns(2)),
    }
    assert each("lm", "", {"out": "decoder"}) == {"lm.out": "decoder"}


def test_the_tokens_of_two_stacks_are_one_table_or_two() -> None:
    rows = stacks({"norm": "last"}, {"norm": "end"}, shared=True)
    tables = ("encoder.embed_tokens", "decoder.embed_tokens")
    assert rows == {
        "encoder.norm": "encoder.last",
        "decoder.norm": "decoder.end",
        "tokens": Stored("shared", also=tables),
    }
    assert {*stacks({}, {}, shared=False).items()} == {
        ("encoder.embed.tokens", "encoder.embed_tokens"),
        ("decoder.embed.tokens", "decoder.embed_tokens"),
    }


def test_a_row_of_a_head_takes_the_place_of_one_of_the_backbone() -> None:
    names = Names("model", {"a": "x", "b": "y"})
    translation = Translation(names, "causal-lm", {"out": "lm_head", "backbone.a": "z", "backbone.c": "y"})
    stored = {
        name: translation.place(name).stored for name in ("backbone.a.weight", "backbone.b.weight", "head.out.bias")
    }
    assert [*stored.values()] == ["model.z.weight", "model.y.weight", "lm_head.bias"]


def test_alternatives_on_both_sides_are_a_row_each() -> None:
    rows = {"attn.{q,k}": "self.{query,key}", "{a,b}_norm": "{norm1,deep.norm2}", "o": "o"}
    assert each("layers.{i}", "h.{i}", rows) == {
        "layers.{i}.attn.q": "h.{i}.self.query",
        "layers.{i}.attn.k": "h.{i}.self.key",
        "layers.{i}.a_norm": "h.{i}.norm1",
        "layers.{i}.b_norm": "h.{i}.deep.norm2",
        "layers.{i}.o": "h.{i}.o",
    }
    with pytest.raises(ValueError, match="zip"):
        each("", "", {"{a,b}": "{x,y,z}"})


def test_rows_of_a_language_model() -> None:
    rows = {
        "lm.hidden.dense": "lm_head.dense",
        "lm.hidden.norm": "lm_head.layer_norm",
        "lm.decoder.weight": "lm_head.decoder.weight",
    }
    tied, own = (language_model("lm_head", tied, "{dense,layer_norm}") for tied in (True, False))
    assert tied == {**rows, "lm.decoder.bias": Stored("lm_head.bias", also=("lm_head.decoder.bias",))}
    assert own == {**rows, "lm.decoder.bias": Stored("lm_head.decoder.bias", also=("lm_head.bias",))}


def test_what_other_files_call_a_tensor_is_read_and_never_written() -> None:
    translation = Translation(Names("m", {("q", "k"): Stored("qk", FusedColumns(2))}, read={"q": "query"}), "any", {})
    assert translation.place("backbone.q.weight").stored == "m.qk.weight"
    place = translation.elsewhere("backbone.q.weight")
    assert place is not None
    assert place.stored == "m.query.weight"
    assert translation.elsewhere("backbone.k.weight") is None


def test_all_beneath_a_name_can_be_ignored() -> None:
    translation = Translation(Names("m", {"a": "x"}, ignore=("contact_head.*",)), BASE, {})
    assert translation.ignores("contact_head.regression.weight")
    assert not translation.ignores("contact_heads.weight")


def test_module_rows_bring_weight_and_bias_and_tensor_rows_stand_alone() -> None:
    names = Names("bert", {"a": "x", "b.weight": "y.kernel"})
    translation = Translation(names, BASE, {})
    assert translation.place("backbone.a.weight").stored == "x.weight"
    assert translation.place("backbone.a.bias").stored == "x.bias"
    assert translation.place("backbone.b.weight").stored == "y.kernel"
    with pytest.raises(ConfigError):
        translation.place("backbone.a.scale")


def test_the_prefix_of_a_head_can_be_its_own() -> None:
    names = Names("model", {"a": "x"}, prefixes={"question-answering": "transformer", "causal-lm": ""})
    places = {
        head: Translation(names, head, {}).place("backbone.a.weight").stored
        for head in (BASE, "token-classification", "question-answering", "causal-lm")
    }
    assert places == {
        BASE: "x.weight",
        "token-classification": "model.x.weight",
        "question-answering": "transformer.x.weight",
        "causal-lm": "x.weight",
    }


def test_old_spellings_of_norms_are_found_and_others_are_not() -> None:
    assert older_spellings("embeddings.LayerNorm.weight") == ("embeddings.LayerNorm.gamma",)
    assert older_spellings("LayerNorm.bias") == ("LayerNorm.beta",)
    assert not older_spellings("layer_scale.weight")
    assert not older_spellings("embeddings.MyLayerNorm.weight")


# --- every family and task ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model_type", "task"), PAIRS)
def test_canonical_to_stored_and_back_is_one_to_one(model_type: str, task: str) -> None:
    """Each stored name belongs to one group of tensors, and joining and splitting it gives the tensors back."""
    model = small_model(model_type, task)
    found = slots(model, model.parts())
    groups = {slot.place.stored: slot.place.parts for slot in found.values()}
    state = model.state_dict()
    for name, slot in found.items():
        assert groups[slot.place.stored] == slot.place.parts
        assert slot.place.parts[slot.place.part] == name
    assert sum(map(len, groups.values())) == len(found)
    files = stored_tensors(model, model.parts())
    assert files.keys() == groups.keys()
    for name, slot in found.items():
        again = slot.place.layout.load(files[slot.place.stored])
        assert len(again) == len(slot.place.parts)
        assert torch.equal(again[slot.place.part], state[name])


@pytest.mark.parametrize(("model_type", "task"), [pair for pair in PAIRS if pair[1] != BASE])
def test_backbone_names_are_those_of_the_bare_backbone_under_the_prefix(model_type: str, task: str) -> None:
    """What a head adds leaves the backbone's stored names alone, but for the prefix."""
    with torch.device("meta"):
        bare, model = (model_class(model_type, kind)(small_config(model_type)) for kind in (BASE, task))
    stored = {slot.name: slot.place.stored for slot in slots(bare, bare.parts()).values()}
    prefix = model.plan.translation.prefix
    for name, slot in slots(model, model.parts()).items():
        # A decoder alone has the tokens of both stacks under its own name.
        if name in stored and (task, name) != ("causal-lm", "backbone.tokens.weight"):
            assert slot.place.stored == prefix + stored[name]


def test_a_part_is_called_in_files_what_it_was() -> None:
    rows = {"text.embed": "a.e", ("vision.q", "vision.k"): Stored("b.qk", FusedColumns(2)), "vision.o": "b.o"}
    table = Names("", rows, ignore=("x",))
    assert table.part("vision").backbone == {("q", "k"): Stored("b.qk", FusedColumns(2)), "o": "b.o"}
    assert table.part("text") == Names("", {"embed": "a.e"}, ignore=("x",))


@pytest.mark.parametrize("model_type", families())
def test_ignored_names_are_no_parameters(model_type: str) -> None:
    for name, task in PAIRS:
        if name == model_type:
            with torch.device("meta"):
                model = model_class(name, task)(small_config(name))
            translation = model.plan.translation
            places = [
                slot.place.stored.removeprefix(translation.prefix) for slot in slots(model, model.parts()).values()
            ]
            ignored = [place for place in places if translation.ignores(place)]
            assert ignored in ([], ["shared.weight"]), "an ignored name is in use"


def test_what_is_ignored_is_said_by_template() -> None:
    translation = Translation(gpt2.names(small_config("gpt2")), BASE, {})
    assert translation.ignores("h.11.attn.bias")
    assert translation.ignores("h.0.attn.masked_bias")
    assert not translation.ignores("h.0.attn.c_attn.bias")
    assert Translation(bart.names(small_config("bart")), BASE, {}).ignores("encoder.version")


def test_equal_tables_are_worked_out_once() -> None:
    small, wide = small_config("bert"), small_config("bert", hidden_size=32)
    one, other = (plan(families()["bert"], "masked-lm", config).translation for config in (small, wide))
    assert one is other
    assert one.place("backbone.layers.0.attn.q.weight") is other.place("backbone.layers.0.attn.q.weight")
    assert plan(families()["bert"], "base", small).translation is not one
    untied = small_config("bert", tie_word_embeddings=False)
    assert plan(families()["bert"], "masked-lm", untied).translation is not one


def test_one_table_for_models_that_differ_keeps_their_names_apart() -> None:
    """A layer within another is stored as one that stands alone."""
    for kernel in (0, 3, 0):
        model = small_model("deberta-v2", conv_kernel_size=kernel)
        assert stored_tensors(model, model.parts()).keys() >= {"encoder.layer.0.attention.self.query_proj.weight"}
