"""The README's commands run as they stand there; what is not run says why."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_run import SMALL

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)```", re.DOTALL)


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(match["mark"] or "", match["body"]) for match in BLOCK.finditer(README) if match["kind"] == kind]


def test_every_command_is_run_somewhere_or_says_why_not() -> None:
    marks = [mark for mark, _ in blocks("bash")]
    assert marks.count("tested") >= 4
    for mark in marks:
        assert mark == "tested" or mark.startswith(("ci: ", "not tested: ")), mark


def test_the_two_commands_are_one_line_each_and_use_the_constraints() -> None:
    commands = {mark: body.strip() for mark, body in blocks("bash") if mark.startswith("ci: ")}
    assert set(commands) == {"ci: main-job", "ci: tests"}
    for body in commands.values():
        assert "\n" not in body
        assert "-c constraints.txt" in body


def test_the_commands_marked_as_tested_run(small_root: Path, tmp_path: Path, finished_run: tuple[Path, Path]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "data" / "quickstart").symlink_to(small_root)
    shutil.copytree(finished_run[1], tmp_path / "runs" / "quickstart")
    for mark, body in blocks("python"):
        (tmp_path / mark.removeprefix("file: ")).write_text(body, encoding="utf-8")
    root = str(Path(__file__).parent.parent)
    for line in (line for mark, body in blocks("bash") if mark == "tested" for line in body.strip().splitlines()):
        words = shlex.split(line)
        settings = dict(word.split("=") for word in words if word.isupper() or word.startswith("WANDB_"))
        words = [word for word in words if word not in {f"{key}={value}" for key, value in settings.items()}]
        assert words[:3] == ["python", "-m", "dpc_lightning"]
        small = [word for word in SMALL if "generator" not in word or "--data.generator" not in words]
        more = small if words[3] == "fit" else []
        done = subprocess.run(
            [sys.executable, *words[1:4], *words[4:6], *more, *words[6:]],
            cwd=tmp_path,
            env={**os.environ, **settings, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "predictions.csv").read_text().count("\n") == 31
    assert (tmp_path / "runs" / "most_damages" / "summary.json").exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:docs|configs|dpc_lightning|tests)/[\w/.]+)`", README))))
def test_the_files_it_names_exist(path: str) -> None:
    assert (Path(__file__).parent.parent / path).exists()
