"""A purchase within a run: what is computed, written and believed, and what happens when rule or oracle misbehave."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.loops import buyer
from dpc_lightning.loops.buyer import StartModelWarning
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import HiddenLabels
from tests.loops.probes import Honest, Service
from tests.small_run import fit, purchases, weights, words
from tests.test_resume import Stop, stop_at_call

PROBES = "tests.loops.probes"
HONEST = f"--purchase.acquisition={PROBES}.Honest"
SERVICE = ("--purchase.oracle=CallableOracle", f"--purchase.oracle.function={PROBES}:label")
SHORT = ("--purchase.pretrain_epochs=1", "--evaluate.epochs=1")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Service.reset()
    Honest.given.clear()


def picks_in(run_dir: Path) -> list[list[int]]:
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        return [event["indices"] for event in ledger.events("picks")]


def wanting(*needs: str) -> tuple[str, ...]:
    return f"--purchase.acquisition={PROBES}.Wanting", f"--purchase.acquisition.wants=[{','.join(needs)}]"


@pytest.mark.parametrize(
    ("needs", "columns", "forwards"),
    [
        ((), (0, 0, 0), 0),
        (("logits",), (6, 0, 0), 2),
        (("logits", "embeddings"), (6, 1, 0), 2),
        (("labelled_embeddings",), (0, 0, 1), 2),
    ],
    ids=str,
)
def test_only_what_a_rule_needs_is_computed(
    small_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    needs: tuple[str, ...],
    columns: tuple[int, int, int],
    forwards: int,
) -> None:
    calls: list[bool] = []
    score = MultiLabelClassifier.score_batch

    def counted(module: MultiLabelClassifier, *args: object, embeddings: bool) -> object:
        calls.append(embeddings)
        return score(module, *args, embeddings=embeddings)  # type: ignore[arg-type]

    monkeypatch.setattr(MultiLabelClassifier, "score_batch", counted)
    fit(small_root, tmp_path / "run", *SHORT, *wanting(*needs))
    assert len(calls) == forwards
    assert any(calls) is (columns[1] + columns[2] > 0)
    for number, pool in enumerate(Honest.given):
        tables = (pool.logits, pool.embeddings, pool.labelled_embeddings)
        assert tuple(min(table.shape[1], wanted or 1) for table, wanted in zip(tables, columns, strict=True)) == columns
        assert len(pool) == 50 - 6 * number
        assert len(pool.labelled_labels) == 40 + 6 * number
        assert (pool.bought, pool.budget_left, pool.round) == (6 * number, 12 - 6 * number, number + 1)


def test_last_layer_and_owned_logits_belong_to_the_model(small_root: Path, tmp_path: Path) -> None:
    """The last layer makes the logits out of the features, for the pool and for what is owned."""
    wanted = ("logits", "embeddings", "labelled_logits", "labelled_embeddings", "head")
    fit(small_root, tmp_path / "run", *SHORT, *wanting(*wanted))
    for pool in Honest.given:
        assert pool.head is not None
        assert pool.labelled_logits is not None
        for features, logits in ((pool.embeddings, pool.logits), (pool.labelled_embeddings, pool.labelled_logits)):
            np.testing.assert_allclose(features @ pool.head.weight.T + pool.head.bias, logits, atol=1e-4)
        assert len(pool.labelled_logits) == len(pool.labelled_labels)
        assert 0 <= pool.validation_map <= 1


@pytest.mark.parametrize("wants", ["third", "chance", "all"])
def test_only_the_images_that_a_rule_wants_are_scored(small_root: Path, tmp_path: Path, wants: str) -> None:
    fit(
        small_root,
        tmp_path / "run",
        *SHORT,
        f"--purchase.acquisition={PROBES}.Fussy",
        f"--purchase.acquisition.wants={wants}",
    )
    sizes = {"third": [17, 15], "chance": [20, 20], "all": [50, 44]}[wants]
    assert [pool.logits.shape for pool in Honest.given] == [(size, 6) for size in sizes]
    first, second = Honest.given
    if wants == "third":
        assert first.indices.tolist() == list(range(0, 50, 3))
    if wants == "chance":
        assert first.indices.tolist() != second.indices.tolist()
    assert len(purchases(tmp_path / "run")) == 12


@pytest.mark.parametrize("wants", ["few", "twice", "beyond", "falling"])
def test_a_wrong_list_of_what_to_score_buys_nothing(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], wants: str
) -> None:
    rule = (f"--purchase.acquisition={PROBES}.Fussy", f"--purchase.acquisition.wants={wants}")
    assert main(words(small_root, tmp_path / "run", *SHORT, *rule)) == 2
    assert "`rows_to_score` of Fussy" in capfd.readouterr().err
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert (len(ledger.purchases().index), ledger.events("picks")) == (0, [])


GARBAGE = ("too few", "twice", "foreign", "list")  # the others: test_checked_picks.py


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_rule_that_returns_garbage_buys_nothing_and_leaves_no_trace(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    """N4, N5: what a rule returns is never the truth."""
    rule = (f"--purchase.acquisition={PROBES}.Garbage", f"--purchase.acquisition.kind={kind}")
    assert main(words(small_root, tmp_path / "run", *SHORT, *rule)) == 2
    said = capfd.readouterr().err
    assert "`purchase.acquisition` Garbage" in said
    assert "nothing was bought" in said
    assert "Traceback" not in said
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert (len(ledger.purchases().index), ledger.events("picks")) == (0, [])
        ledger.verify()
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_rule_that_writes_into_what_it_is_given_changes_nothing(small_root: Path, tmp_path: Path) -> None:
    fit(small_root, tmp_path / "honest", *SHORT, HONEST)
    fit(small_root, tmp_path / "vandal", *SHORT, f"--purchase.acquisition={PROBES}.Vandal")
    assert purchases(tmp_path / "vandal") == purchases(tmp_path / "honest")
    for phase in ("round_1", "round_2", "evaluate"):
        assert weights(tmp_path / "vandal", phase) == weights(tmp_path / "honest", phase)
    tests = [json.loads((tmp_path / name / "summary.json").read_text())["test"] for name in ("vandal", "honest")]
    assert tests[0] == tests[1]


def test_picks_are_written_before_the_oracle_is_asked_and_replayed(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(HiddenLabels, "label", stop_at_call(HiddenLabels.label, 1))  # the first call asks for nothing
        with pytest.raises(Stop):
            main(words(small_root, run_dir, *SHORT, HONEST))
    assert picks_in(run_dir) == [[0, 1, 2, 3, 4, 5]]
    Honest.given.clear()
    fit(small_root, run_dir, *SHORT, HONEST)
    assert [pool.round for pool in Honest.given] == [2]  # the first round's list was replayed
    assert [int(row["index"]) for row in purchases(run_dir)] == list(range(12))


def impatient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let pauses before an oracle is asked again take no time; gives their lengths."""
    pauses: list[float] = []
    monkeypatch.setattr(buyer.Buyer, "_wait", lambda _, seconds: pauses.append(seconds))
    return pauses


def test_an_oracle_that_fails_twice_is_asked_again(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = impatient(monkeypatch)
    Service.reset(failures=2)
    summary = fit(small_root, tmp_path / "run", *SHORT, HONEST, *SERVICE)
    assert pauses == [1, 2]
    assert Service.asked == [[*range(6)]] * 3 + [[*range(6, 12)]]
    assert summary["labels_bought"] == 12
    for row in purchases(tmp_path / "run"):
        labels = [int(row[name]) for name in summary["classes"]]
        assert labels == [int(row["index"]) >> bit & 1 for bit in range(6)]


def test_an_oracle_that_stays_away_ends_the_run_and_the_next_start_pays_nothing_twice(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    impatient(monkeypatch)
    Service.reset(failures=3)
    command = words(small_root, tmp_path / "run", *SHORT, HONEST, *SERVICE)
    assert main(command) == 2
    said = capfd.readouterr().err
    assert "ConnectionError: the service is down" in said
    assert "charges nothing" in said
    assert "Traceback" not in said
    assert main(command) == 0
    assert Service.asked[3:] == [[*range(6)], [*range(6, 12)]]
    assert len(purchases(tmp_path / "run")) == 12


def test_labels_that_come_later_end_the_run_cleanly_and_the_next_start_goes_on(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(small_root, tmp_path / "whole", *SHORT, HONEST, *SERVICE)
    Service.reset(pending=2)
    command = words(small_root, tmp_path / "run", *SHORT, HONEST, *SERVICE)
    for _ in range(2):
        assert main(command) == 3
        said = capfd.readouterr().err
        assert "with the experts: start the same command again" in said
        assert "Traceback" not in said
        assert "error" not in said.lower()
        assert not (tmp_path / "run" / "summary.json").exists()
    assert main(command) == 0
    assert Service.asked == [[*range(6)]] * 3 + [[*range(6, 12)]]
    assert purchases(tmp_path / "run") == purchases(tmp_path / "whole")
    assert weights(tmp_path / "run", "evaluate") == weights(tmp_path / "whole", "evaluate")


def test_a_misspelt_oracle_and_one_without_labels_are_found_before_the_pretraining(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, 0))
    oracle = ("--purchase.oracle=CallableOracle", "--purchase.oracle.function=no.such:thing")
    assert main(words(small_root, tmp_path / "run", *oracle)) == 2
    assert "`purchase.oracle.init_args.function`" in capfd.readouterr().err
    root = tmp_path / "data"
    shutil.copytree(small_root, root, ignore=shutil.ignore_patterns("sheets.json"))
    (root / "unlabelled" / "labels.csv").unlink()
    assert main(words(root, tmp_path / "run")) == 2
    said = capfd.readouterr().err
    assert "Put `unlabelled/labels.csv` into the data root, or name another `purchase.oracle`" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("quality", "rule", "warned"),
    [(0.1, "MeanEntropy", True), (0.99, "MeanEntropy", False), (0.1, "Random", False), (float("nan"), "Badge", True)],
)
@pytest.mark.filterwarnings("default::dpc_lightning.loops.buyer.StartModelWarning")
def test_a_start_model_that_knows_nothing_is_said_where_a_rule_trusts_it(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quality: float, rule: str, warned: bool
) -> None:
    quality_of = property(lambda _: quality, lambda *_: None)
    monkeypatch.setattr(MultiLabelClassifier, "validation_map", quality_of, raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StartModelWarning)
        summary = fit(small_root, tmp_path / "run", *SHORT, f"--purchase.acquisition={rule}")
    assert [each.category for each in caught].count(StartModelWarning) == int(warned)
    assert summary["start_model_informed"] is (quality == 0.99)
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        (judged,) = ledger.events(buyer.START_MODEL)
    assert judged["informed"] is (quality == 0.99)
    assert 0 < judged["guess"] < 0.5
    assert judged.get("map") == (None if np.isnan(quality) else quality)


def test_what_the_start_model_knew_is_still_known_after_a_resume(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(2):  # in round 2's scoring, and between judging the start model and writing the picks
        run_dir = tmp_path / str(place)
        owner, name, number = ((MultiLabelClassifier, "score_batch", 1), (Honest, "_pick", 0))[place]
        rule = (HONEST, wanting("logits"))[place == 0]
        rule = (rule,) if isinstance(rule, str) else rule
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stop_at_call(getattr(owner, name), number))
            with pytest.raises(Stop):
                main(words(small_root, run_dir, *SHORT, *rule))
        assert fit(small_root, run_dir, *SHORT, *rule)["start_model_informed"] is False
        with Ledger.read(run_dir / "ledger.sqlite") as ledger:
            assert len(ledger.events(buyer.START_MODEL)) == 1
