"""The package that people install: what it holds, and that it runs from another folder."""

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import dpc_lightning

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_listed_packages_are_the_folders_that_exist() -> None:
    found = {
        str(init.parent.relative_to(ROOT)).replace(os.sep, ".") for init in ROOT.glob("dpc_lightning/**/__init__.py")
    }
    found |= {f"dpc_lightning.{folder}" for folder in ("callbacks", "configs")}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(found)


@pytest.mark.parametrize("folder", ["callbacks", "configs"])
def test_the_links_lead_to_the_folders_at_the_top(folder: str) -> None:
    link = ROOT / "dpc_lightning" / folder
    assert link.is_symlink()
    assert link.resolve() == (ROOT / folder).resolve()
    assert not link.readlink().is_absolute()


def test_the_version_is_given_once() -> None:
    assert PROJECT["project"]["version"] == dpc_lightning.__version__


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an sdist, and the wheel from that sdist, as `python -m build` does."""
    folder = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "tree"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        origin = ROOT / name
        if origin.is_symlink():
            target.symlink_to(origin.readlink())
        elif origin.exists():
            target.write_bytes(origin.read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder / "direct"), str(source)],
        check=True,
        capture_output=True,
    )
    return folder


def wheel_names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_both_wheels_hold_callbacks_and_configurations_and_nothing_foreign(distributions: Path) -> None:
    from_sdist = wheel_names(next(distributions.glob("*.whl")))
    direct = wheel_names(next((distributions / "direct").glob("*.whl")))
    assert from_sdist == direct
    assert {name.split("/")[0] for name in direct} == {"dpc_lightning"}
    for name in (
        "callbacks/compute_budget.py",
        "configs/quickstart.yaml",
        "py.typed",
        "__main__.py",
        "report/templates/page.html",
    ):
        assert f"dpc_lightning/{name}" in direct
    packaged = {name.rsplit("/", 1)[1] for name in direct if name.endswith(".yaml")}
    assert packaged == {path.name for path in (ROOT / "configs").rglob("*.yaml")}
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as sdist:
        assert any(name.endswith("/callbacks/compute_budget.py") for name in sdist.getnames())


def test_the_wheel_runs_the_packaged_quickstart_from_another_folder(distributions: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    site = next((environment / "lib").glob("python*/site-packages"))
    # the wheel lies in an environment of its own; its dependencies are those that the tests run with
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    dependencies = Path(os.__file__).parent / "site-packages"
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(here or [str(dependencies)]) + "\n", encoding="utf-8")
    work = tmp_path / "elsewhere"
    work.mkdir()
    small = (
        "--data.generator.training=40 --data.generator.unlabelled=40 --data.generator.validation=24 "
        "--data.generator.test=24 --data.generator.px=32 --data.image_size=32 --purchase.labels=6 --purchase.rounds=2 "
        "--purchase.pretrain_epochs=1 --purchase.round_epochs=1 --evaluate.epochs=1 --run_dir=run"
    ).split()
    python = environment / "bin" / "python"
    code = "import dpc_lightning, sys; print(dpc_lightning.__file__)"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    where = subprocess.run([python, "-c", code], cwd=work, env=clean, capture_output=True, text=True, check=True)
    assert str(environment) in where.stdout
    done = subprocess.run(
        [python, "-m", "dpc_lightning", "fit", "--config", "quickstart", *small],
        cwd=work,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (work / "run" / "summary.json").exists()
    assert "macro-F1" in done.stdout
