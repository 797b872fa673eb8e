"""Two ranks on one machine, by torchrun and by Lightning's launcher: they agree, and no error leaves one waiting."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from dpc_lightning.__main__ import main
from dpc_lightning.errors import ConfigError
from dpc_lightning.models.backbone import build_network
from dpc_lightning.models.recipe import Recipe
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.trainer import PurchaseTrainer
from tests.rank_probes import FAIL
from tests.small_run import fit, purchases, words

HERE = Path(__file__).parents[1]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "dpc_lightning")
ODD = (
    "--data.generator.training=41",
    "--data.generator.unlabelled=51",
    "--data.generator.validation=31",
    "--data.generator.test=29",
    "--data.eval_batch_size=8",
    "--purchase.labels=13",
    "--evaluate.epochs=1",
)
"""No split can be shared evenly by two ranks."""
HALF_BATCHES = ("--model.batch_size=16", "--evaluate.batch_size=16")
STATE = "--trainer.callbacks=tests.rank_probes.RankState"
PHASES = ["pretrain", "round_1", "round_2", "evaluate"]


def start(*command: str, seconds: float = 120, **environ: str) -> tuple[int, str]:
    """Run Python with these words; gives the exit status and everything it said. Nothing of it outlives this call."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LOCAL_", "DPC_LIGHTNING_"))}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=HERE,
        env=inherited | {"OMP_NUM_THREADS": "1"} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            pytest.fail(f"still running after {seconds} s:\n{said}")
    return process.returncode, said


def states(run_dir: Path, rank: int) -> list[dict[str, Any]]:
    """What a rank wrote down at the end of each phase."""
    return [json.loads(line) for line in (run_dir / f"rank_{rank}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data root with odd counts and the folder of a run of two ranks on it. Not to be changed."""
    place = tmp_path_factory.mktemp("ranks")
    status, said = start(*TORCHRUN, *words(place / "data", place / "run", *ODD, *HALF_BATCHES, STATE))
    assert status == 0, said
    return place / "data", place / "run"


def test_the_ranks_agree_at_the_end_of_every_phase(two_ranks: tuple[Path, Path]) -> None:
    first, second = states(two_ranks[1], 0), states(two_ranks[1], 1)
    assert [state["phase"] for state in first] == PHASES
    assert {state["world"] for state in first} == {2}
    assert first == second
    assert len({state["weights"] for state in first}) == len(PHASES)
    assert [len(state["bought"]) for state in first] == [0, 7, 13, 13]


def test_there_is_one_ledger_one_summary_and_one_file_of_purchases(two_ranks: tuple[Path, Path]) -> None:
    run_dir = two_ranks[1]
    summary = json.loads((run_dir / "summary.json").read_text())
    assert (summary["labels_bought"], summary["hardware"]["ranks"]) == (13, 2)
    assert [phase["train_images"] for phase in summary["phases"]] == [41, 48, 54, 54]
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        ledger.verify()
        assert ledger.purchases().index.tolist() == states(run_dir, 1)[-1]["bought"]
    assert [int(row["index"]) for row in purchases(run_dir)] == states(run_dir, 0)[-1]["bought"]
    for pattern in ("summary*.json", "ledger*.sqlite", "metrics*.csv", "purchases*.csv", "config*.yaml"):
        assert len(list(run_dir.rglob(pattern))) == 1
    assert not list(run_dir.rglob("*.tmp"))


def test_steps_are_those_of_one_rank_with_twice_the_batch(two_ranks: tuple[Path, Path], tmp_path: Path) -> None:
    """Not so the weights, and so the purchases: each rank's BatchNorm sees its own half of a batch."""
    root, run_dir = two_ranks
    fit(root, tmp_path / "one", *ODD, "--model.batch_size=32", "--evaluate.batch_size=32", STATE)
    one, two = states(tmp_path / "one", 0), states(run_dir, 0)
    assert [state["world"] for state in one] == [1] * len(PHASES)
    for name in ("step", "phase"):
        assert [state[name] for state in one] == [state[name] for state in two]
    assert [len(state["labels"]) for state in one] == [len(state["labels"]) for state in two] == [41, 48, 54, 54]
    assert one[0]["weights"] != two[0]["weights"]


def test_lightnings_own_launcher_gives_the_same_run(two_ranks: tuple[Path, Path], tmp_path: Path) -> None:
    root, run_dir = two_ranks
    own = ("--trainer.strategy=ddp", "--trainer.devices=2")
    status, said = start("-m", "dpc_lightning", *words(root, tmp_path / "run", *ODD, *HALF_BATCHES, STATE, *own))
    assert status == 0, said
    assert states(tmp_path / "run", 0) == states(tmp_path / "run", 1) == states(run_dir, 0)
    assert (tmp_path / "run" / "summary.json").exists()


def test_an_error_on_rank_0_ends_both_and_the_same_command_goes_on(
    two_ranks: tuple[Path, Path], tmp_path: Path
) -> None:
    root, run_dir = two_ranks
    failing = "--purchase.acquisition=tests.rank_probes.FailingBadge"
    command = (*TORCHRUN, *words(root, tmp_path / "run", *ODD, *HALF_BATCHES, STATE, failing))
    since = time.monotonic()
    status, said = start(*command, seconds=60, **{FAIL: "2"})
    assert status != 0
    assert time.monotonic() - since < 60
    assert "error: picking failed on purpose in round 2" in said
    assert not (tmp_path / "run" / "summary.json").exists()
    status, said = start(*command)
    assert status == 0, said
    assert [state["weights"] for state in states(tmp_path / "run", 1)[-2:]] == [
        state["weights"] for state in states(run_dir, 1)[-2:]
    ]
    assert purchases(tmp_path / "run") == purchases(run_dir)


def test_a_pool_smaller_than_the_ranks_is_bought_whole(tmp_path: Path) -> None:
    few = ("--data.generator.unlabelled=1", "--data.generator.test=3", "--data.generator.validation=3")
    more = ("--purchase.rounds=1", "--purchase.pretrain_epochs=1", "--evaluate.epochs=1", STATE)
    status, said = start(*TORCHRUN, *words(tmp_path / "data", tmp_path / "run", *few, *more))
    assert status == 0, said
    assert states(tmp_path / "run", 0) == states(tmp_path / "run", 1)
    assert [row["index"] for row in purchases(tmp_path / "run")] == ["0"]


@pytest.fixture
def under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as the first of two that torchrun has started."""
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("LOCAL_WORLD_SIZE", "2"), ("GROUP_WORLD_SIZE", "1")):
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("under_torchrun")
def test_torchrun_without_a_run_folder_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = [word for word in words(tmp_path / "data", tmp_path) if not word.startswith("--run_dir")]
    assert main(command) == 2
    assert "error: Expected `--run_dir DIR` under torchrun" in capfd.readouterr().err
    assert not (tmp_path / "data").exists()


def test_slurm_tasks_without_a_run_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "2")
    command = [word for word in words(tmp_path / "data", tmp_path) if not word.startswith("--run_dir")]
    assert main(command) == 2
    assert "error: Expected `--run_dir DIR` under SLURM" in capfd.readouterr().err


@pytest.mark.usefixtures("under_torchrun")
def test_torchrun_decides_how_many_devices_there_are() -> None:
    with pytest.raises(ConfigError, match="`trainer.devices` is 1, but torchrun started 2 processes"):
        PurchaseTrainer(accelerator="cpu", devices=1)


def test_synchronised_batchnorm_would_be_another_network_and_is_refused() -> None:
    network = build_network(Recipe(), 3, seed=0).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = network(images)
    torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert not torch.allclose(network(images), expected, atol=0.01)  # if it is close one day, allow the setting
    with pytest.raises(ConfigError, match="`trainer.sync_batchnorm` is true, but"):
        PurchaseTrainer(accelerator="cpu", devices=1, sync_batchnorm=True)
