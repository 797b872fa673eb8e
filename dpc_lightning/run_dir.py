"""The folder of a run: settled once by the launching process, locked by rank 0, its configuration kept."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from dpc_lightning.atomic import write_text
from dpc_lightning.errors import RunDirError
from dpc_lightning.process_lock import ProcessLock

__all__ = ["RunDir"]

HANDED_ON = "DPC_LIGHTNING_RUN_DIR"
"""Environment variable by which the launching process hands the folder on to the ranks that it starts."""

MAY_DIFFER = frozenset(
    {
        "trainer.devices",
        "trainer.num_nodes",
        "trainer.accelerator",
        "trainer.strategy",
        "trainer.logger",
        "trainer.enable_progress_bar",
        "data.num_workers",
        "data.pin_memory",
        "data.cache_dir",
        "checkpoint_every",
        "purchase.oracle_attempts",
        "purchase.oracle_backoff_seconds",
    }
)
"""Keys in which a second start in the same folder may differ: they say how a run is computed, not what it is. Another
number of devices changes the size of a step, and with it the weights from there on."""

NOT_SETTINGS = frozenset({"config", "run_dir"})


@dataclass(frozen=True)
class RunDir:
    """The files of one run.

    Example:
        >>> RunDir(Path("runs/first")).summary.name
        'summary.json'
    """

    path: Path
    """The folder."""

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def ledger(self) -> Path:
        """The record of purchases, an SQLite file."""
        return self.path / "ledger.sqlite"

    @property
    def purchases(self) -> Path:
        """The purchases as CSV: order, round, index, image, score, one column a class."""
        return self.path / "purchases.csv"

    @property
    def picture(self) -> Path:
        """The bought images by round with their labels."""
        return self.path / "purchases.png"

    @property
    def metrics(self) -> Path:
        """All logged numbers as CSV."""
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints: `last.ckpt`, and one at the end of each phase."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """Where a start in this folder goes on."""
        return self.checkpoints / "last.ckpt"

    @property
    def final_checkpoint(self) -> Path:
        """The weights at the end of the evaluation phase."""
        return self.checkpoints / "evaluate.ckpt"

    @property
    def heartbeat(self) -> Path:
        """What a process that was killed had spent of the compute budget."""
        return self.path / "heartbeat.json"

    @property
    def summary(self) -> Path:
        """The result of the run. It is written last: a run that has it is finished."""
        return self.path / "summary.json"

    @classmethod
    def settle(cls, requested: str | None, config_name: str, environ: Mapping[str, str]) -> "RunDir":
        """Decide the folder: the one asked for, or a new one under `runs/`.

        The launching process decides; a rank that it starts finds the decision in its environment.

        Args:
            requested: value of `--run_dir`, if given.
            config_name: name of the configuration file without its ending; names the default folder.
            environ: the process's environment.

        Returns:
            The folder, absolute. It is not created.

        Raises:
            RunDirError: under torchrun or SLURM without `--run_dir`, since every rank would decide for itself.
        """
        if requested is not None:
            return cls(Path(requested).absolute())
        by_torchrun = "TORCHELASTIC_RUN_ID" in environ
        if by_torchrun or int(environ.get("SLURM_NTASKS", "1")) > 1:
            launcher = "torchrun" if by_torchrun else "SLURM"
            msg = f"Expected `--run_dir DIR` under {launcher}: each rank would make up a folder of its own without it."
            raise RunDirError(msg)
        if "LOCAL_RANK" in environ and HANDED_ON in environ:
            return cls(Path(environ[HANDED_ON]))
        now = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        return cls((Path("runs") / config_name / now).absolute())

    def hand_on(self) -> None:
        """Tell the folder to the ranks that this process will start."""
        os.environ[HANDED_ON] = str(self.path)

    def create(self) -> None:
        """Make the folder and its folder of checkpoints.

        Raises:
            RunDirError: if it cannot be made or written into.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".writable"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            msg = (
                f"Cannot write into the run folder {self.path}: {error.strerror or error}. "
                "Give another one with `--run_dir DIR`, or make room and set its permissions."
            )
            raise RunDirError(msg) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone; the lock goes with the process, however it ends.

        Raises:
            RunDirError: if another process holds it; names the process, its host and since when.
        """
        lock = ProcessLock(
            self.path / ".lock",
            name=f"The run folder {self.path}",
            way_out="Wait for it to end, or give another `--run_dir`.",
            error=RunDirError,
        )
        try:
            yield
        finally:
            lock.release()

    def keep_config(self, resolved: str) -> None:
        """Save the resolved configuration, or compare it with the one that the run was started with.

        Args:
            resolved: the configuration as YAML text.

        Raises:
            RunDirError: if it differs from the saved one in a key that changes results; the message names the keys.
        """
        if not self.config.exists() or not (self.ledger.exists() or self.last_checkpoint.exists()):
            self.heartbeat.unlink(missing_ok=True)  # of another run
            write_text(self.config, resolved)  # a start that failed before it did anything leaves nothing to agree with
            return
        try:
            before = _flatten(yaml.safe_load(self.config.read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = str(error).partition("\n")[0]
            msg = (
                f"Expected the configuration that the run was started with in {self.config}, but it cannot be read: "
                f"{reason}. Remove this one file to go on with the settings that you give now; they must be the same."
            )
            raise RunDirError(msg) from error
        now = _flatten(yaml.safe_load(resolved))
        changed = [
            f"  {key}: {before.get(key, '(absent)')!r} -> {now.get(key, '(absent)')!r}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key) and not _may_differ(key)
        ]
        if changed:
            msg = (
                f"The run in {self.path} was started with another configuration:\n"
                + "\n".join(changed)
                + "\nGo on with the same settings, or give another `--run_dir`."
            )
            raise RunDirError(msg)


def _may_differ(key: str) -> bool:
    return key in NOT_SETTINGS or any(key == free or key.startswith(free + ".") for free in MAY_DIFFER)


def _flatten(node: object, prefix: str = "") -> dict[str, object]:
    if isinstance(node, dict) and node:
        flat: dict[str, object] = {}
        for key, value in node.items():
            flat |= _flatten(value, f"{prefix}{key}.")
        return flat
    return {prefix.rstrip("."): node}
