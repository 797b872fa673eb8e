"""SheetSettings: ranges, presets, and its life as a type of the command line."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from dpc_lightning.data.synthetic.settings import PRESETS, Knobs, SheetSettings
from dpc_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "easy"),
        ("training", 0),
        ("training", -1),
        ("unlabelled", -1),
        ("validation", 1.5),
        ("test", True),
        ("px", 15),
        ("px", 4096),
        ("seed", -1),
        ("seed", 2**64),
        ("clean", 1.1),
        ("redundancy", -0.1),
        ("label_noise", 0.6),
        ("shift", float("nan")),
        ("difficulty", "high"),
        ("ambiguity", float("inf")),
        ("prevalence", (0.1, 0.2)),
        ("prevalence", (0.1, 0.2, 0.3, 0.4, 0.5, -0.1)),
        ("prevalence", "most of"),
    ],
)
def test_wrong_value_names_its_key(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"`data\.generator\.{name}`.*but got"):
        SheetSettings(**{name: value})  # type: ignore[arg-type]


def test_damaged_sheets_without_any_damage_are_refused() -> None:
    none = (0.0,) * 6
    with pytest.raises(ConfigError, match=r"`data\.generator\.prevalence` is 0"):
        SheetSettings(prevalence=none)
    assert SheetSettings(prevalence=none, clean=1.0).knobs().clean == 1.0


def test_a_set_dial_takes_the_place_of_the_preset() -> None:
    for preset, knobs in PRESETS.items():
        assert SheetSettings(preset=preset).knobs() == knobs
    changed = SheetSettings(preset="noisy", shift=0.0).knobs()
    assert (changed.shift, changed.label_noise) == (0.0, PRESETS["noisy"].label_noise)


def test_every_knob_is_a_setting() -> None:
    assert {field.name for field in fields(Knobs)} <= {field.name for field in fields(SheetSettings)}


def test_equal_dials_mean_equal_descriptions() -> None:
    hard = PRESETS["hard"]
    spelt_out = SheetSettings(prevalence=hard.prevalence, difficulty=hard.difficulty)
    assert SheetSettings(preset="hard").as_dict() == spelt_out.as_dict() != SheetSettings().as_dict()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SheetSettings().px = 32  # type: ignore[misc]


def test_round_trip_through_yaml(tmp_path: Path) -> None:
    parser = ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_argument("--generator", type=SheetSettings | None)
    file = tmp_path / "a.yaml"
    file.write_text("generator: {preset: hard, px: 32, prevalence: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}", encoding="utf-8")
    expected = SheetSettings(preset="hard", px=32, prevalence=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    parsed = parser.parse_args(["--config", str(file)])
    assert SheetSettings(**parsed.generator.as_dict()) == expected
    again = tmp_path / "b.yaml"
    again.write_text(parser.dump(parsed), encoding="utf-8")
    reread = parser.parse_args(["--config", str(again)])
    assert SheetSettings(**reread.generator.as_dict()) == expected
