"""Digests and the filling of settings."""

from dpc_lightning.evaluation.job import digest, filled, merged

SETTINGS = {"data": {"root": "a", "image_size": 32}, "purchase": {"acquisition": "Badge"}}


def test_places_do_not_change_a_digest_and_settings_do() -> None:
    elsewhere = merged(SETTINGS, {"data": {"root": "b", "num_workers": 4}, "trainer": {"devices": 1}})
    assert digest("start", merged(SETTINGS, {"trainer": {}})) == digest("start", elsewhere)
    larger = merged(SETTINGS, {"data": {"image_size": 64}})
    assert digest("start", SETTINGS) != digest("start", larger)
    assert digest("start", SETTINGS) != digest("outcome", SETTINGS)


def test_the_order_of_keys_does_not_change_a_digest() -> None:
    assert digest("start", {"a": 1, "b": {"c": 2, "d": 3}}) == digest("start", {"b": {"d": 3, "c": 2}, "a": 1})


def test_a_class_takes_the_place_of_all_that_was_there() -> None:
    below = {"rule": {"class_path": "A", "init_args": {"x": 1}}}
    assert merged(below, {"rule": {"class_path": "B"}}) == {"rule": {"class_path": "B"}}
    assert merged(below, {"rule": {"init_args": {"y": 2}}})["rule"]["init_args"] == {"x": 1, "y": 2}
    assert below == {"rule": {"class_path": "A", "init_args": {"x": 1}}}


def test_only_known_marks_are_filled() -> None:
    node = {"a": ["{seed}", "x{seed}y"], "b": "{other}", "c": 3}
    assert filled(node, {"seed": 7}) == {"a": [7, "x7y"], "b": "{other}", "c": 3}
