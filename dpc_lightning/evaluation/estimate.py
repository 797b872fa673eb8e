"""How long the jobs that are left will take, from those that are done."""

from collections.abc import Iterable, Mapping

from dpc_lightning.evaluation.job import Job
from dpc_lightning.evaluation.outcome import Outcome

__all__ = ["seconds_left", "spoken"]


def seconds_left(jobs: Mapping[str, Job], done: Mapping[str, Outcome], left: Iterable[str]) -> float | None:
    """Estimate the seconds of work in the jobs that are left, on one worker.

    A job takes as long as the jobs of its kind, study, budget and pipeline took on average. Where none of these is done
    yet, it takes the seconds of those nearest to it, in proportion to the images that are passed through the network.

    Args:
        jobs: all jobs by key.
        done: outcomes by key.
        left: keys of the jobs to come.

    Returns:
        Seconds, or None where nothing has been measured.
    """
    measured: dict[tuple[object, ...], list[tuple[float, int]]] = {}
    for key, outcome in done.items():
        job = jobs.get(key)
        if job is not None and outcome.status == "done":
            for likeness in _likenesses(job):
                measured.setdefault(likeness, []).append((outcome.wall_seconds, job.passes))
    if not measured:
        return None
    total = 0.0
    for key in left:
        exact, *nearer = _likenesses(jobs[key])
        if exact in measured:
            total += sum(seconds for seconds, _ in measured[exact]) / len(measured[exact])
            continue
        sample = next((measured[each] for each in nearer if each in measured), [])
        passes = sum(each for _, each in sample) or 1
        total += sum(seconds for seconds, _ in sample) / passes * jobs[key].passes
    return total


def _likenesses(job: Job) -> tuple[tuple[object, ...], ...]:
    """Say which jobs are like this one, from the nearest to the farthest."""
    case, kind = job.case, job.kind
    return (
        (kind, case.study, case.arm, case.labels, case.pipeline),
        (kind, case.study, case.pipeline),
        (case.study, case.pipeline),
        (case.pipeline,),
        (),
    )


def spoken(seconds: float) -> str:
    """Say a duration.

    Example:
        >>> spoken(42), spoken(600), spoken(9000)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
