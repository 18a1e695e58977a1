"""Configurations: presets, files, overrides, and a sentence for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tunixrt.datasets.render import DataFormat
from tunixrt.runs.config import ConfigError, RunConfig, known_keys
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.presets import PRESETS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.toml"


def problem_with(path: Path, text: str, *overrides: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(str(path), overrides)
    return str(caught.value).replace(str(path), "run.toml")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_complete_configuration(name: str) -> None:
    config = load_config(name)
    assert config.model.name == name
    assert config.training.numeric_mode == "portable"
    assert config.data.format is DataFormat.TUNIX_SFT
    assert config.system_instruction is None


def test_a_file_lists_its_differences_from_a_preset(file: Path) -> None:
    file.write_text(
        'system_instruction = "Be brief."\n'
        '[model]\nname = "nano"\nmax_length = 256\narchitecture = { num_hidden_layers = 4 }\n'
        '[training]\nlearning_rate = 1e-3\nlr_scheduler = "cosine"\n'
        '[data]\nformat = "answer_only"\n'
    )
    config = load_config(str(file))
    nano = load_config("nano")
    assert config.system_instruction == "Be brief."
    assert config.model.max_length == 256
    assert config.model.architecture.num_hidden_layers == 4
    assert config.model.architecture.hidden_size == nano.model.architecture.hidden_size
    assert config.training == nano.training.model_copy(
        update={"learning_rate": 0.001, "lr_scheduler": "cosine"}
    )
    assert config.data.format is DataFormat.ANSWER_ONLY


def test_overrides_come_last_and_are_toml_values_or_bare_words(file: Path) -> None:
    file.write_text('[model]\nname = "nano"\n[training]\nseed = 1\n')
    config = load_config(
        str(file),
        [
            "training.seed=2",
            "training.lr_scheduler=constant",
            "system_instruction=Think = first",
            'data.split="test"',
            "training.learning_rate=1",
        ],
    )
    assert (config.training.seed, config.training.lr_scheduler) == (2, "constant")
    assert config.system_instruction == "Think = first"
    assert config.data.split == "test"
    assert config.training.learning_rate == 1


def test_presets_are_not_changed_by_what_is_set_over_them() -> None:
    before = json.dumps(PRESETS)
    load_config("nano", ["model.architecture.hidden_size=32", "training.seed=9"])
    assert json.dumps(PRESETS) == before


def test_the_resolved_configuration_holds_every_key_and_reads_back() -> None:
    config = load_config("nano", ["training.seed=3"])
    resolved = json.loads(json.dumps(config.resolved()))
    assert RunConfig.from_resolved(resolved) == config
    for key in known_keys():
        value = resolved
        for part in key.split("."):
            value = value[part]


def test_the_identity_leaves_out_the_intervals_of_reports_and_checkpoints_only() -> None:
    often, rarely = (
        load_config("nano", [f"training.logging_steps={steps}", f"training.save_steps={steps}"])
        for steps in (1, 500)
    )
    assert often.resolved() != rarely.resolved()
    assert often.identity() == rarely.identity()
    missing = often.resolved()["training"].keys() - often.identity()["training"].keys()
    assert missing == {"logging_steps", "save_steps"}
    assert RunConfig.from_resolved(often.identity()).identity() == often.identity()


def test_the_validation_split_matters_only_where_it_is_looked_at() -> None:
    def identity(split: str, every: int) -> dict[str, object]:
        overrides = [f"data.validation_split={split}", f"training.eval_steps={every}"]
        return load_config("nano", overrides).identity()

    assert identity("validation", 0) == identity("test", 0)
    assert identity("validation", 5) != identity("test", 5)
    assert identity("test", 5) != identity("test", 6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[model]\nname = "nano"\n\n[training]\nlerning_rate = 0.1\n',
            (
                "run.toml:5: training.lerning_rate is not a key. "
                'Did you mean "training.learning_rate"?'
            ),
        ),
        (
            '[model]\nname = "nano"\nnum_hidden_layers = 2\n',
            (
                "run.toml:3: model.num_hidden_layers is not a key. "
                'Did you mean "model.architecture.num_hidden_layers"?'
            ),
        ),
        (
            '[model]\nname = "nano"\n[zebra]\n',
            "run.toml:3: zebra is not a key.",
        ),
        (
            '[model]\nname = "nano"\n[training]\nnum_steps = "many"\n',
            "run.toml:4: training.num_steps should be a valid integer; found 'many'.",
        ),
        (
            '[model]\nname = "nano"\n[training]\nnum_steps = 0\n',
            "run.toml:4: training.num_steps should be greater than or equal to 1; found 0.",
        ),
        (
            '[model]\nname = "nano"\n[training]\nlearning_rate = nan\n',
            "run.toml:4: training.learning_rate should be a finite number; found nan.",
        ),
        (
            '[model]\nname = "nano"\n[training]\noptimizer = "sgd"\n',
            "run.toml:4: training.optimizer should be 'adamw' or 'muon'; found 'sgd'.",
        ),
        (
            '[model]\nname = "nano"\n[data]\nformat = "chat"\n',
            (
                "run.toml:4: data.format should be 'tunix_sft', 'training_example' or "
                "'answer_only'; found 'chat'."
            ),
        ),
        (
            '[model]\nname = "nano"\n[training]\nwarmup_steps = 99\nnum_steps = 50\n',
            "run.toml:3: training: warmup_steps (99) must be less than num_steps (50).",
        ),
        (
            '[model]\nname = "nano"\narchitecture = { head_dim = 9 }\n',
            "run.toml:3: model.architecture: head_dim (9) must be even, for rotary positions.",
        ),
        (
            '[model]\nname = "nano"\narchitecture = { num_key_value_heads = 3 }\n',
            (
                "run.toml:3: model.architecture: num_attention_heads (2) must be a multiple of "
                "num_key_value_heads (3)."
            ),
        ),
        (
            '[model]\nname = "nano"\narchitecture = { hidden_size = 33 }\n',
            (
                "run.toml:3: model.architecture: hidden_size (33) must be a multiple of "
                "num_attention_heads (2), or transformers refuses the model."
            ),
        ),
        (
            'training = 3\n[model]\nname = "nano"\n',
            ("run.toml:1: training should be a table; found 3."),
        ),
        (
            '[model]\nname = "nono"\n',
            (
                "run.toml:2: model.name is 'nono', which is not a preset. "
                'Did you mean "nano"? Name the preset '
                "to start from: nano, nano-arithmetic, micro, small."
            ),
        ),
        (
            "[training]\nseed = 1\n",
            (
                "run.toml: model.name is missing. Name the preset to start from: nano, "
                "nano-arithmetic, micro, small."
            ),
        ),
        ("model = 3\n", "run.toml: model.name is missing. Name the preset to start from: nano"),
        ("[model\n", "run.toml is not TOML: Expected ']'"),
    ],
)
def test_a_mistake_in_a_file_gets_a_sentence_with_its_line(
    file: Path, text: str, expected: str
) -> None:
    assert problem_with(file, text).startswith(expected)


def test_every_mistake_is_told_at_once(file: Path) -> None:
    text = '[model]\nname = "nano"\n[training]\nseeed = 1\nbatch_size = -1\n'
    assert problem_with(file, text).count("\n") == 1


def test_a_mistake_in_an_override_says_so(file: Path) -> None:
    text = '[model]\nname = "nano"\n'
    assert problem_with(file, text, "training.seed=x") == (
        "run.toml (--set): training.seed should be a valid integer; found 'x'."
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.seed", "--set training.seed: expected KEY=VALUE"),
        ("Training Seed=1", "--set Training Seed=1: expected KEY=VALUE"),
        ("training.seed.more=1", "The preset nano (--set): training.seed should be"),
        ("model.name=micro", "--set model.name cannot change the preset: give 'micro'"),
        ("training.num_steps.more=1", "--set training.num_steps.more=1: num_steps is a value"),
        ("model=3", "The preset nano (--set): model should be a table; found 3."),
    ],
)
def test_an_override_that_sets_no_key_is_an_error(override: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("nano", [override])
    assert str(caught.value).startswith(expected)


def test_an_unknown_preset_is_an_error_with_the_nearest(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("nanoo")
    assert str(caught.value) == (
        "'nanoo' is neither a preset nor the name of a TOML file. Did you mean \"nano\"? "
        "The presets are nano, nano-arithmetic, micro, small."
    )


def test_a_file_that_cannot_be_read_is_an_error(file: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(str(file))
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8: bad byte at offset 0"):
        load_config(str(file))


def test_a_manifest_that_holds_no_configuration_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"The manifest: model is missing"):
        RunConfig.from_resolved({"training": load_config("nano").resolved()["training"]})


def test_reading_a_configuration_needs_no_jax() -> None:
    code = (
        "import sys, tunixrt.runs.config; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
