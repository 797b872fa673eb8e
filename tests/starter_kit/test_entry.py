"""Entries that mean well: what they are given, in which way, and that it is what a native run would give."""

import ctypes
import hashlib
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpc_lightning import acquisition
from dpc_lightning.acquisition import Acquisition, PoolView
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.errors import ConfigError, EntryError
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.starter_kit import entry as module
from dpc_lightning.starter_kit.entry import run_entry
from dpc_lightning.starter_kit.examples import EXAMPLES, example_path
from dpc_lightning.starter_kit.hosted_data import HostedData, open_data
from dpc_lightning.starter_kit.seal import view
from dpc_lightning.starter_kit.seal.process import Seal, SealedProcess
from dpc_lightning.starter_kit.seal.view import View
from dpc_lightning.starter_kit.settings import EntrySettings
from tests.starter_kit.hosting import POOL, host, sheets


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> HostedData:
    """A pool of 60 sheets."""
    return sheets(tmp_path_factory.mktemp("sheets") / "root")


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_buy_the_whole_budget(name: str, data: HostedData, tmp_path: Path) -> None:
    record = run_entry(example_path(name), data, tmp_path, EntrySettings(), labels=20, seconds=60)
    assert (record.how, record.bought, record.returned) == ("finished", 20, 20), record.text
    assert record.seal


def test_rounds_fit_into_the_compute_budget(data: HostedData, tmp_path: Path) -> None:
    """With hardly any time left the winner's way becomes one round, and still buys everything."""
    entry = tmp_path / "mine" / "run.py"
    entry.parent.mkdir()
    text = example_path("rounds_of_entropy").read_text()
    entry.write_text(
        text.replace(
            "        start = time.monotonic()\n        pool =",
            "        compute_budget -= 1e4\n        start = time.monotonic()\n        pool =",
        )
    )
    (tmp_path / "run").mkdir()
    record = run_entry(entry, data, tmp_path / "run", EntrySettings(), labels=20, seconds=60)
    assert (record.how, record.bought) == ("finished", 20), record.text


def test_items_are_those_of_the_kit(data: HostedData, tmp_path: Path) -> None:
    code = """
    import numpy as np
    from evaluator.dataset import ZEWDPCBaseDataset, ZEWDPCProtectedDataset, ZEWDPCSomething
    assert isinstance(pool, ZEWDPCProtectedDataset) and isinstance(training, ZEWDPCBaseDataset)
    first = training[0]
    print("training", len(training), sorted(first), first["image"].size, first["image"].mode, first["label"].tolist())
    print("pool", len(pool), sorted(pool[7]), pool[7]["idx"], sum(1 for _ in pool))
    label = pool.purchase_label(7)
    print("bought", sorted(pool[7]), (pool[7]["label"] == label).all(), "label" in pool[8])
    pool.set_transform(lambda image: np.asarray(image).mean())
    print("transformed", isinstance(pool[0]["image"], float))
    for wrong in (-1, 60):
        try: pool[wrong]
        except IndexError: print("no such image")
    print("budgets", purchase_budget, 0 < compute_budget <= 30)
    """
    hosted = host(code, data, tmp_path, phase=True)
    assert hosted.record.how == "finished", hosted.record.text
    first = data.splits.labelled.labels[0].tolist()
    for line in (
        f"training {len(data.splits.labelled)} ['idx', 'image', 'label'] (16, 16) RGB {first}",
        "pool 60 ['idx', 'image'] 7 60",
        "bought ['idx', 'image', 'label'] True False",
        "transformed True",
        "no such image\nno such image",
        "budgets 5 True",
    ):
        assert line in hosted.printed


def test_images_are_those_of_the_root(data: HostedData, tmp_path: Path) -> None:
    code = """
    import hashlib
    for name, items in (("pool", pool), ("training", training)):
        for item in items: print(name, item["idx"], hashlib.sha256(item["image"].tobytes()).hexdigest())
    """
    hosted = host(code, data, tmp_path, phase=True, images="array")
    for index, image in enumerate(data.splits.pool_store.array):
        assert f"pool {index} {hashlib.sha256(image.tobytes()).hexdigest()}" in hosted.printed
    for place in range(len(data.splits.labelled)):
        digest = hashlib.sha256(data.splits.labelled.pixels(place).tobytes()).hexdigest()
        assert f"training {place} {digest}" in hosted.printed


@pytest.mark.parametrize(
    "signature",
    [
        "self, unlabelled_dataset, training_dataset, purchase_budget, compute_budget, register_progress",
        "self, unlabelled_dataset, training_dataset, purchase_budget",
        "self, training_dataset, unlabelled_dataset, *, compute_budget=1, purchase_budget",
        "self, unlabelled_dataset, **rest",
        "self, pool, labelled, budget, /, seconds=None, other=3",
        "self, images, *rest",
    ],
)
def test_a_phase_gets_what_it_takes(signature: str, data: HostedData, tmp_path: Path) -> None:
    code = f"""
    class ZEWDPCBaseRun:
        def pre_training_phase(self, training):
            print("pretraining", len(training))
        def purchase_phase({signature}):
            given = dict(locals())
            del given["self"]
            sizes = [len(value) for value in given.values() if hasattr(value, "purchase_label")]
            print("purchase", sizes)
            next(value for value in given.values() if hasattr(value, "purchase_label")).purchase_label(3)
    """
    hosted = host(code, data, tmp_path)
    assert hosted.record.how == "finished", hosted.record.text
    assert f"purchase [{POOL}]" in hosted.printed
    assert hosted.bought == [3]


def test_a_phase_that_wants_more_is_told(data: HostedData, tmp_path: Path) -> None:
    hosted = host("class ZEWDPCBaseRun:\n    def pre_training_phase(self, a, b, c, d): pass", data, tmp_path)
    assert hosted.record.how == "raised"
    assert "`pre_training_phase` requires `d`" in hosted.record.text


def test_checkpoints_are_saved_and_loaded_between_the_phases(data: HostedData, tmp_path: Path) -> None:
    code = """
    from pathlib import Path
    import helper

    class Mine:
        def pre_training_phase(self, training_dataset, register_progress):
            assert register_progress(0.5) is False
            register_progress(None), register_progress("x"), register_progress(7), register_progress(float("nan"))
            self.known = helper.ANSWER
            print("pretrained")
        def save_checkpoint(self, checkpoint_folder):
            (Path(checkpoint_folder) / "known").write_text(str(self.known))
            del self.known
            print("saved")
        def load_checkpoint(self, checkpoint_folder):
            self.known = int((Path(checkpoint_folder) / "known").read_text())
            print("loaded", open("words.txt").read())
        def purchase_phase(self, unlabelled_dataset):
            unlabelled_dataset.purchase_label(self.known)
    """
    files = {"helper.py": b"ANSWER = 42\n", "words.txt": b"beside it"}
    hosted = host(code, data, tmp_path, files=files, class_name="Mine")
    assert hosted.record.how == "finished", hosted.record.text
    assert hosted.printed.split("\n")[:3] == ["pretrained", "saved", "loaded beside it"]
    assert hosted.bought == [42]
    assert [each.name for each in hosted.record.code] == ["helper.py", "run.py", "words.txt"]


@pytest.mark.parametrize("rule", ["Random", "KCenter", "KMeansPlusPlus"])
def test_a_rule_buys_the_same_natively_and_as_an_entry(rule: str, data: HostedData, tmp_path: Path) -> None:
    code = f"""
    import numpy as np
    from dpc_lightning import acquisition
    classes = training.labels.shape[1]
    seen = [np.stack([np.asarray(item["image"]).ravel() for item in items]) / 255 for items in (pool, training)]
    view = acquisition.PoolView(
        indices=np.arange(len(pool)), logits=np.zeros((len(pool), 0), np.float32),
        embeddings=seen[0].astype(np.float32), labelled_labels=training.labels,
        labelled_embeddings=seen[1].astype(np.float32), f1=np.zeros(classes, np.float32),
        thresholds=np.full(classes, 0.5, np.float32), budget_left=purchase_budget,
    )
    picks = acquisition.{rule}().select(view, purchase_budget, np.random.default_rng(5)).indices
    pool.purchase_labels(picks)
    """
    hosted = host(code, data, tmp_path, phase=True, labels=9)
    labelled, classes = data.splits.labelled.labels, len(data.splits.classes)
    training = np.stack([data.splits.labelled.pixels(place) for place in range(len(labelled))])
    view = PoolView(
        indices=np.arange(POOL),
        logits=np.zeros((POOL, 0), np.float32),
        embeddings=(data.splits.pool_store.array.reshape(POOL, -1) / 255).astype(np.float32),
        labelled_labels=labelled,
        labelled_embeddings=(training.reshape(len(labelled), -1) / 255).astype(np.float32),
        f1=np.zeros(classes, np.float32),
        thresholds=np.full(classes, 0.5, np.float32),
        budget_left=9,
    )
    native: Acquisition = getattr(acquisition, rule)()
    assert hosted.bought == native.select(view, 9, np.random.default_rng(5)).indices.tolist()


def test_an_entry_buys_the_same_sealed_and_in_the_open(data: HostedData, tmp_path: Path) -> None:
    """The winner's way, trained on two sides of the wall: the very same images in the same order."""
    found = []
    for name, seal in (("sealed", "namespaces"), ("other", "landlock"), ("open", "none")):
        folder = tmp_path / name
        folder.mkdir()
        settings = EntrySettings(seal=seal, allow_unsealed=seal == "none")  # type: ignore[arg-type]
        record = run_entry(example_path("rounds_of_entropy"), data, folder, settings, labels=20, seconds=None)
        assert bool(record.seal) is (seal != "none")
        with Ledger.read(folder / "ledger.sqlite") as ledger:
            found.append(ledger.purchases().index.tolist())
    assert found[0] == found[1] == found[2]


def test_the_host_is_closed_to_others_while_an_entry_runs(data: HostedData, tmp_path: Path) -> None:
    """Its memory, environment and files are root's then; afterwards it is as it was."""
    dumpable = ctypes.CDLL(None).prctl
    seen: list[int] = []
    settings = EntrySettings(work_mb=64)
    run_entry(
        example_path("random"),
        data,
        tmp_path,
        settings,
        labels=3,
        seconds=30,
        on_progress=lambda *_: seen.append(dumpable(3)),
    )
    assert seen
    assert set(seen) == {0}
    assert dumpable(3) == 1


def test_a_second_start_finds_what_was_done(data: HostedData, tmp_path: Path) -> None:
    first = host("pool.purchase_label(2)\nprint('once')", data, tmp_path, phase=True)
    entry = tmp_path / "mine" / "run.py"
    settings = EntrySettings(grace=0.5, work_mb=64)
    again = run_entry(entry, data, tmp_path / "run", settings, labels=5, seconds=30)
    assert again == first.record
    with pytest.raises(EntryError, match="run once a folder: name another --run_dir"):
        run_entry(entry, data, tmp_path / "run", settings, labels=6, seconds=30)
    (tmp_path / "run" / "entry.json").write_text("{")
    with pytest.raises(EntryError, match="cannot be read"):
        run_entry(entry, data, tmp_path / "run", settings, labels=5, seconds=30)


HOST = """
import sys
from pathlib import Path
from dpc_lightning.starter_kit.entry import run_entry
from dpc_lightning.starter_kit.settings import EntrySettings
from tests.starter_kit.hosting import sheets
root, entry, folder = map(Path, sys.argv[1:])
run_entry(entry, sheets(root), folder, EntrySettings(), labels=50, seconds=None)
"""


@pytest.mark.parametrize("seal", ["namespaces", "landlock"])
def test_a_host_that_is_killed_loses_nothing_bought(seal: str, data: HostedData, tmp_path: Path) -> None:
    entry, folder = tmp_path / "mine" / "run.py", tmp_path / "run"
    entry.parent.mkdir()
    folder.mkdir()
    entry.write_text(
        "import time\nclass ZEWDPCBaseRun:\n    def purchase_phase(self, unlabelled_dataset):\n        index = 0\n"
        "        while True:\n            unlabelled_dataset.purchase_label(index)\n            index += 1\n"
        "            print('bought', index)\n            time.sleep(0.02)\n"
    )
    code = HOST.replace("EntrySettings()", f"EntrySettings(seal={seal!r})")
    process = subprocess.Popen([sys.executable, "-c", code, str(data.root), str(entry), str(folder)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "bought 5" not in _text(folder / "log.txt"):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    told = _text(folder / "log.txt").count("bought")
    time.sleep(0.5)
    assert _text(folder / "log.txt").count("bought") <= told + 2  # the entry has ended with its host
    settings = EntrySettings(seal=seal)  # type: ignore[arg-type]
    record = run_entry(entry, data, folder, settings, labels=50, seconds=None)
    assert record.how == "interrupted"
    left = tempfile.gettempdir(), *(str(place) for place in Path("/sys/fs/cgroup").glob("*") if place.is_dir())
    (tmp_path / "again").mkdir()
    run_entry(example_path("random"), data, tmp_path / "again", settings, labels=5, seconds=None)
    assert not [found for place in left for found in Path(place).glob(f"dpc-entry-{process.pid}-*")]
    assert seal in record.seal.lower()
    assert record.bought >= told >= 5
    assert json.loads((folder / "entry.json").read_text())["bought"] == record.bought


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize(
    ("rights", "seal"), [("-sys_admin", "namespaces"), ("-sys_admin", "landlock"), ("-all", "landlock")]
)
def test_a_host_with_fewer_rights_seals_as_well(rights: str, seal: str, data: HostedData, tmp_path: Path) -> None:
    """As root of a container: by a namespace of users of its own, or by Landlock."""
    entry, folder = tmp_path / "mine" / "run.py", tmp_path / "run"
    entry.parent.mkdir()
    folder.mkdir()
    entry.write_text(
        "import os\nclass ZEWDPCBaseRun:\n    def purchase_phase(self, unlabelled_dataset):\n"
        f"        try: print('LEAK', open('{data.root}/unlabelled/labels.csv').read(9))\n"
        "        except OSError: print('closed')\n"
        "        print([line for line in open('/proc/self/status') if line.startswith('CapEff')])\n"
        "        unlabelled_dataset.purchase_label(4)\n"
    )
    code = HOST.replace("EntrySettings()", f"EntrySettings(seal={seal!r})")
    words = ["setpriv", f"--bounding-set={rights}", "--inh-caps=-all"] if os.geteuid() == 0 else []
    subprocess.run([*words, sys.executable, "-c", code, str(data.root), str(entry), str(folder)], check=True)
    record = json.loads((folder / "entry.json").read_text())
    assert (record["how"], record["bought"]) == ("finished", 1), record["text"]
    assert seal in record["seal"].lower()
    printed = (folder / "log.txt").read_text()
    assert "closed" in printed
    assert "LEAK" not in printed
    assert "CapEff:\\t0000000000000000" in printed


def test_data_within_what_python_needs_is_refused(
    data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpc_lightning.starter_kit.entry.programs", lambda: ("/usr", str(data.root.parent)))
    with pytest.raises(EntryError, match="must be able to read to run at all"):
        host("pass", data, tmp_path, phase=True)


@pytest.mark.parametrize("seal", ["namespaces", "landlock"])
def test_python_may_be_installed_anywhere(
    seal: str, data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also below /tmp, where the entry has a folder of its own."""
    library = tmp_path / "python" / "lib"
    library.mkdir(parents=True)
    (library / "words.txt").write_text("there")
    monkeypatch.setattr("dpc_lightning.starter_kit.entry.programs", lambda: (*view.programs(), str(library)))
    hosted = host(f"print(open('{library}/words.txt').read())", data, tmp_path, phase=True, seal=seal)
    assert hosted.printed == "there\n"


def test_data_is_opened_as_for_training() -> None:
    """What a configuration leaves out means the same for an entry and for the judges of its purchase."""
    trained, hosted = (inspect.signature(each).parameters for each in (PurchaseDataModule, open_data))
    assert {name: each.default for name, each in hosted.items()} == {name: trained[name].default for name in hosted}


@pytest.mark.parametrize("allowed", [True, False])
def test_no_seal_is_an_error_that_can_be_overruled(
    allowed: bool,
    data: HostedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Nowhere(SealedProcess):
        def __init__(self, runner: str, view: View, seal: Seal, **rest: Any) -> None:
            if seal != "none":
                msg = f"Sealing by {seal} is not to be had here: a test says so."
                raise EntryError(msg)
            super().__init__(runner, view, seal, **rest)

    monkeypatch.setattr(module, "SealedProcess", Nowhere)
    if allowed:
        hosted = host("pool.purchase_label(1)", data, tmp_path, phase=True, allow_unsealed=True)
        assert (hosted.record.seal, hosted.bought) == ("", [1])
        return
    with pytest.raises(EntryError, match=r"UNSEALED.*namespaces is not to be had.*landlock is not.*--allow_unsealed"):
        host("pool.purchase_label(1)", data, tmp_path, phase=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("grace", -1.0), ("memory_gb", 0.1), ("memory_gb", float("nan")), ("processes", 1), ("work_mb", 1), ("seed", -1)],
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"`--{name}`"):
        EntrySettings(**{name: value})  # type: ignore[arg-type]
