"""From a folder to its report: which folder it is, where the report goes, and what is said when it cannot be."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.errors import RunDirError
from dpc_lightning.report import write_report
from tests.report.run_folder import write_run


def test_a_real_run_has_a_report(finished_run: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "looked_at.html"
    assert main(["report", str(finished_run[1]), "--out", str(out)]) == 0
    html = out.read_text(encoding="utf-8")
    assert "12 of 12 labels bought by ExpectedGain" in html
    assert html.count("data:image/jpeg;base64,") == 12
    assert "The ledger is whole" in html
    assert sorted(file.name for file in tmp_path.iterdir()) == ["looked_at", "looked_at.html"]
    assert (tmp_path / "looked_at" / "report.md").is_file()
    assert not (finished_run[1] / "report.html").exists()


def test_a_ledger_that_does_not_agree_with_the_summary_ends_it(finished_run: tuple[Path, Path], tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    shutil.copy(finished_run[1] / "ledger.sqlite", folder)
    with pytest.raises(Exception, match=r"ledger\.sqlite"):
        write_report(folder)


def test_images_that_are_gone_are_said_to_be(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    shutil.rmtree(folder / "data")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "The images cannot be shown" in html
    assert "is not there any more" in html
    assert "Labels found by round and class" in html


def test_some_images_that_are_broken_leave_their_place_empty(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "data" / "unlabelled" / "images" / "2.png").write_bytes(b"no image")
    html = write_report(folder).read_text(encoding="utf-8")
    assert html.count('class="gone"') == 1
    assert "image 498 of the pool" in html


def test_a_run_that_bought_nothing_and_logged_nothing_has_a_report(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", labels_bought=0, start_model_informed=False, cut_short_by=["trainer.x"])
    for name in ("purchases.csv", "metrics.csv", "config.yaml"):
        (folder / name).unlink()
    html = write_report(folder).read_text(encoding="utf-8")
    for said in ("Nothing was bought.", "No training was logged", "config.yaml is gone", "a trial and no result"):
        assert said in html
    assert "knew next to nothing" in html


@pytest.mark.parametrize(
    ("files", "said"),
    [((), "it has neither"), (("config.yaml",), "not finished: start the same `fit` again"), (None, "no such folder")],
)
def test_a_folder_that_is_neither_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: tuple[str, ...] | None, said: str
) -> None:
    folder = tmp_path / "folder"
    if files is not None:
        folder.mkdir()
        for name in files:
            (folder / name).write_text("")
    assert main(["report", str(folder)]) == 2
    shown = capsys.readouterr().err
    assert f"Expected a folder with summary.json (of `fit`) or results.sqlite (of `benchmark`) in {folder}" in shown
    assert said in shown


def test_a_run_has_no_arm_to_compare_with(
    finished_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run[1]
    assert main(["report", str(run), "--out", str(tmp_path / "page.html"), "--against", "badge"]) == 2
    assert f"Expected `--against` with the folder of a benchmark, but {run} holds a run" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_a_database_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.sqlite").write_text("no database, but long enough to be looked at by SQLite" * 20)
    assert main(["report", str(tmp_path)]) == 2
    assert str(tmp_path / "results.sqlite") in capsys.readouterr().err


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "run")
    file = write_report(folder)
    before = file.read_bytes()

    def full(self: Path, target: Path) -> Path:
        if target.name == "report.html":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    replace = Path.replace
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunDirError, match=r"report\.html: No space left"):
        write_report(folder)
    assert file.read_bytes() == before
    assert [name.name for name in folder.iterdir() if name.suffix == ".part"] == []


def test_a_page_without_an_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"for example .*page\.html"):
        write_report(write_run(tmp_path / "run"), out=tmp_path / "page")


def test_the_same_folder_gives_the_same_report(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    assert write_report(folder).read_bytes() == write_report(folder, out=tmp_path / "again.html").read_bytes()


def test_help_waits_for_no_library_of_pictures_and_a_report_for_no_torch(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    code = (
        "import sys; from dpc_lightning.__main__ import main\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'lightning', 'matplotlib', 'jinja2'} & set(sys.modules)))\n"
        f"main(['report', {str(folder)!r}])\n"
        "print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DIR/report.html by default" in done.stdout
    assert done.stdout.splitlines()[-3:] == ["[]", f"The report is {folder / 'report.html'}", "[]"]
