"""Where each quirk of checkpoints (by its number) is tested, besides the tests that carry its number in their names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

UNIT = Path(__file__).parent

# Quirks that other files test: number to (file, test).
TESTED = {
    1: ("test_io_weights", "test_the_order_of_search", "test_without_weights_it_is_said_what_there_is"),
    2: ("test_io_weights", "test_pickles_of_any_age", "test_a_pickle_that_asks_for_code_is_refused_and_nothing_runs"),
    3: (
        "test_io_weights",
        "test_shards",
        "test_a_missing_shard_is_named",
        "test_a_tied_tensor_that_the_index_leaves_out_is_there",
    ),
    4: ("test_io_weights", "test_variants", "test_sharded_variants"),
    5: ("test_hub", "test_revisions", "test_moved_repos_are_found_in_the_cache_under_both_names"),
    6: ("test_hub", "test_home_and_relative_paths", "test_a_folder_wins_over_a_repo_of_its_name"),
    8: ("test_io_safetensors", "test_metadata_may_be_anything"),
    10: ("test_config", "test_code_of_a_checkpoint_is_refused"),
    11: ("test_errors", "test_a_model_type_from_the_architectures", "test_a_model_type_from_the_names_of_weights"),
    12: ("test_config", "test_dtype_under_both_names"),
    13: ("test_config", "test_names_of_labels_have_integer_keys_and_string_keys_in_files"),
    14: ("test_models", "test_a_pass_changes_neither_the_config_nor_the_inputs"),
    15: ("test_config", "test_both_spellings_name_one_field"),
    16: ("test_rope", "test_quirk_16_each_spelling_of_positions"),
    17: ("test_windows", "test_quirk_17_each_spelling_of_windows"),
    19: ("test_load", "test_a_tied_table_that_is_in_the_file_twice", "test_a_tied_table_under_the_heads_name_alone"),
    24: ("test_load", "test_old_names_of_norms", "test_parameters_called_gamma_keep_their_names"),
    25: ("test_load", "test_a_base_with_the_prefix_of_a_head", "test_weights_of_another_family_are_an_error"),
    26: ("test_load", "test_wrappers_around_all_names", "test_a_state_dict_within_a_dictionary"),
    27: ("test_layouts", "test_same_and_transposed_are_inverses", "test_fused_columns_are_inverses"),
    28: ("test_load", "test_buffers_of_old_files_are_ignored"),
    29: ("test_load", "test_a_tied_table_that_is_in_the_file_twice"),
    30: ("test_layouts", "test_fused_rows_are_inverses", "test_fused_groups_are_inverses"),
    31: ("test_layouts", "test_stacked_experts_are_inverses", "test_stacked_columns_are_inverses"),
    32: ("../parity/test_files", "test_nomic_files_with_the_names_of_modules", "test_norms_called_gamma_and_beta"),
    34: (
        "test_load",
        "test_another_number_of_labels_makes_a_new_head",
        "test_a_tensor_of_the_backbone_of_another_shape_is_an_error",
    ),
    35: ("../parity/test_round_trip", "test_same_keys_and_tensors_as_the_oracle_writes"),
    36: ("test_io_weights", "test_without_weights_it_is_said_what_there_is"),
    37: ("test_tokenizer_pieces", "test_ids_equal_sentencepieces", "test_broken_files_are_told"),
    38: ("test_tokenizer_files", "test_a_vocabulary_and_nothing_else", "test_added_tokens_of_the_old_files"),
    39: ("test_chat_template", "test_named_templates", "test_templates_are_found_where_checkpoints_have_them"),
    40: ("test_tokenizer_files", "test_tokenizer_json_alone_knows_berts_inputs"),
    42: ("test_io_report",),
    43: ("test_errors", "test_what_is_no_file_of_weights", "test_truncated_weights", "test_a_config_that_is_none"),
    44: ("test_hub", "test_errors_say_what_to_do", "test_an_unreachable_hub_is_said_at_once"),
}
# Weight normalisation is in files of audio families alone, which headway has not.
ABSENT = {33}


@pytest.mark.parametrize("number", range(1, 45))
def test_each_quirk_has_a_test(number: int) -> None:
    named = re.compile(rf"def test_quirk_{number}_")
    files = [path for path in UNIT.glob("test_*.py") if named.search(path.read_text())]
    if number in TESTED:
        name, *tests = TESTED[number]
        text = (UNIT / f"{name}.py").read_text()
        assert not [test for test in tests if f"def {test}(" not in text]
    assert files or number in TESTED or number in ABSENT
