"""The batch script of `docs/multi_gpu.md`, with stand-ins for the commands of SLURM: it requeues on 75 only."""

import subprocess
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[1] / "docs" / "multi_gpu.md"


@pytest.mark.parametrize(("status", "requeued"), [(0, False), (2, False), (3, False), (75, True), (137, False)])
def test_the_script_requeues_on_75_only(tmp_path: Path, status: int, requeued: bool) -> None:
    script = RECIPE.read_text().partition("<!-- sbatch -->\n```bash\n")[2].partition("```")[0]
    assert "python -m dpc_lightning fit" in script
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, body in {"srun": f"exit {status}", "scontrol": f'echo "$@" > {tmp_path}/asked'}.items():
        (commands / name).write_text(f"#!/bin/sh\n{body}\n")
        (commands / name).chmod(0o755)
    environ = {"PATH": f"{commands}:/usr/bin:/bin", "SLURM_JOB_ID": "17", "SCRATCH": str(tmp_path)}
    ended = subprocess.run(["bash", "-c", script], env=environ, check=False)
    assert ended.returncode == status
    asked = tmp_path / "asked"
    assert (asked.read_text() if asked.exists() else "") == ("requeue 17\n" if requeued else "")
