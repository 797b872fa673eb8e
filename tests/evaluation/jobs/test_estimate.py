"""How long what is left will take."""

import pytest

from dpc_lightning.evaluation.jobs.estimate import seconds_left
from dpc_lightning.evaluation.jobs.job import Job, Place
from dpc_lightning.evaluation.jobs.outcome import Outcome


def job(name: str, arm: str, labels: int, passes: int, pipeline: str = "a") -> Job:
    return Job("buy", name, Place("sheets", arm, labels, None, pipeline, 1, 1, 1), {}, "", passes=passes)


JOBS = {
    each.key: each
    for each in (
        job("one", "badge", 10, 1000),
        job("two", "badge", 10, 1000),
        job("larger", "badge", 20, 3000),
        job("other", "badge", 10, 500, "b"),
    )
}


def test_nothing_is_known_before_the_first_job() -> None:
    assert seconds_left(JOBS, {}, JOBS) is None
    assert seconds_left(JOBS, {"one": Outcome.failed("no", 3.0)}, ["two"]) is None


def test_like_jobs_take_as_long_and_others_in_proportion() -> None:
    done = {"one": Outcome(wall_seconds=4.0)}
    assert seconds_left(JOBS, done, ["two"]) == pytest.approx(4.0)
    assert seconds_left(JOBS, done, ["larger"]) == pytest.approx(12.0)
    assert seconds_left(JOBS, done, ["other"]) == pytest.approx(2.0)
    assert seconds_left(JOBS, done, []) == 0


def test_jobs_of_the_same_pipeline_tell_more_than_others() -> None:
    done = {"one": Outcome(wall_seconds=4.0), "other": Outcome(wall_seconds=50.0)}
    assert seconds_left(JOBS, done, ["larger"]) == pytest.approx(12.0)
