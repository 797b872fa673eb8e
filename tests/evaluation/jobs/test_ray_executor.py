"""Jobs on a real Ray cluster of this machine, with a worker killed on the way."""

import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.errors import ConfigError, PreemptedError
from dpc_lightning.evaluation.jobs import ray_executor
from dpc_lightning.evaluation.jobs.ray_executor import RayExecutor
from dpc_lightning.evaluation.jobs.results import read_results
from dpc_lightning.evaluation.result import Result
from tests.evaluation.jobs.small_benchmark import content
from tests.small_run import purchases

REPOSITORY = Path(__file__).parents[3]

RULE = """
import os, signal
from pathlib import Path
from dpc_lightning.acquisition import Random

class Deadly(Random):
    def _pick(self, pool, count, rng):
        mark = Path({mark!r})
        if not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._pick(pool, count, rng)
"""


def comparable(rows: list[Result]) -> list[Any]:
    return [(row.key, row.status, row.error, row.scores, row.f1_per_class, row.indices) for row in rows]


def processes(place: str) -> list[str]:
    """Command lines, of all processes, that name a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if place in line:
            found.append(line[:300])
    return found


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a folder for temporary files and a current folder with a rule, all of the test's own."""
    (tmp_path / "home").mkdir()
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # as with `python -m`
    return tmp_path


def test_a_cluster_gives_the_rows_of_local_processes_though_a_worker_is_killed(own_folders: Path) -> None:
    mark = own_folders / "killed"
    (own_folders / "my_deadly_rules.py").write_text(RULE.format(mark=str(mark)))
    made = content(own_folders, references=[])
    made["arms"] = {"deadly": {"purchase": {"acquisition": "my_deadly_rules.Deadly"}}}
    file = own_folders / "mine.yaml"
    file.write_text(yaml.safe_dump(made))
    before = set(Path(tempfile.gettempdir()).glob("dpc_ray-*"))
    words = ["benchmark", f"--config={file}", "--workers=2"]
    assert main([*words, f"--run_dir={own_folders / 'ray'}", "--executor=ray"]) == 0
    assert mark.read_text().isdigit()
    assert main([*words, f"--run_dir={own_folders / 'local'}"]) == 0

    rows = read_results(own_folders / "ray")
    assert [(row.arm, row.bought) for row in rows] == [("random", 6), ("deadly", 6)]
    assert comparable(rows) == comparable(read_results(own_folders / "local"))
    for row in rows:  # what a job leaves has come back
        job = own_folders / "ray" / "jobs" / row.key
        assert [int(each["index"]) for each in purchases(job)] == list(row.indices)
        assert (job / "log.txt").is_file()
    # nothing is left of the cluster
    assert set(Path(tempfile.gettempdir()).glob("dpc_ray-*")) <= before
    assert not (own_folders / "home" / ".ray").exists()
    until = time.monotonic() + 20
    while time.monotonic() < until and processes("dpc_ray-"):
        time.sleep(0.1)
    assert processes("dpc_ray-") == []


@pytest.mark.parametrize(
    ("address", "listens", "said"),
    [
        ("127.0.0.1:{port}", False, "nothing answers at 127.0.0.1"),
        ("127.0.0.1:{port}", True, "no Ray cluster answers at 127.0.0.1"),
        ("nonsense", False, "cannot use a Ray cluster at nonsense: ValueError: Invalid address format"),
        ("auto", False, "cannot use a Ray cluster at auto: ConnectionError: Could not find any running Ray instance"),
    ],
)
def test_an_address_without_a_cluster_is_named_soon(
    address: str, listens: bool, said: str, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "A_CLUSTER_WITHIN", 3.0 if listens else 30.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if listens:  # something, but no cluster
            taken.listen()
        began = time.monotonic()
        with pytest.raises(ConfigError, match="`--ray_address`: ") as refused:
            RayExecutor(own_folders, address=address.format(port=taken.getsockname()[1]))
    assert time.monotonic() - began < 25
    assert said in str(refused.value)
    assert "`ray start --head`" in str(refused.value)


def test_the_extra_is_named_where_it_is_missing(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'dpc-lightning\[ray\]'"):
        RayExecutor(own_folders)


def test_a_signal_during_the_wait_ends_it_in_good_order(own_folders: Path) -> None:
    """Ray's wait, written in Cython, wraps what a signal's handler raises."""

    class Cluster:
        exceptions = ray.exceptions

        def wait(self, *_: Any, **__: Any) -> None:
            raise SystemError("returned a result with an exception set") from PreemptedError("asked to end")

    executor = RayExecutor.__new__(RayExecutor)
    executor._ray, executor._running = Cluster(), {}
    with pytest.raises(PreemptedError, match="asked to end"):
        executor.collect(1.0)
