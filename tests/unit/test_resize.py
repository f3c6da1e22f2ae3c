"""Models whose vocabulary grows or shrinks keep what they knew."""

from pathlib import Path

import pytest
import torch

from headway import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, InputError
from small import small_config

CASES = [
    (AutoModelForMaskedLM, "bert"),
    (AutoModelForMaskedLM, "electra"),
    (AutoModelForCausalLM, "clip_text_model"),
    (AutoModelForCausalLM, "gpt2"),
    (AutoModelForCausalLM, "llama"),
    (AutoModelForSeq2SeqLM, "t5"),
    (AutoModelForSeq2SeqLM, "bart"),
    (AutoModelForSeq2SeqLM, "mt5"),
    (AutoModelForSeq2SeqLM, "marian"),
    (AutoModelForSeq2SeqLM, "m2m_100"),
]


@pytest.mark.parametrize(("auto", "model_type"), CASES)
@pytest.mark.parametrize("more", [7, -5])
def test_old_tokens_keep_their_logits(auto: type, model_type: str, more: int, tmp_path: Path) -> None:
    model = auto.from_config(small_config(model_type)).eval()  # type: ignore[attr-defined]
    ids = torch.tensor([[5, 6, 7, 2]])
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if auto is AutoModelForSeq2SeqLM else {})
    before, count = model(**inputs).logits, model.config.vocab_size
    table = model.resize_token_embeddings(count + more)
    assert table.weight.shape[0] == table.num_embeddings == model.config.vocab_size == count + more
    after = model(**inputs).logits
    kept = min(count, count + more)
    assert after.shape[-1] == count + more
    torch.testing.assert_close(after[..., :kept], before[..., :kept])
    model.save_pretrained(tmp_path)
    again = auto.from_pretrained(tmp_path)  # type: ignore[attr-defined]
    assert again.load_report.clean
    torch.testing.assert_close(again(**inputs).logits, after)


def test_a_count_that_is_none() -> None:
    with pytest.raises(InputError, match=r"positive number, got 0; pass len\(tokenizer\)"):
        AutoModelForMaskedLM.from_config(small_config("bert")).resize_token_embeddings(0)


def test_two_towers_have_one_vocabulary(tmp_path: Path) -> None:
    model = AutoModel.from_config(small_config("clip")).eval()
    count = model.config.text_config.vocab_size
    assert model.resize_token_embeddings(count + 3).weight.shape[0] == model.config.text_config.vocab_size == count + 3
    model.save_pretrained(tmp_path)
    assert AutoModel.from_pretrained(tmp_path).load_report.clean
