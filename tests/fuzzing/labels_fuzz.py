"""`labels.csv` and `index.csv` of a split, spoilt, through the functions that every run reads them by."""

from pathlib import Path
from random import Random

from dpc_lightning.data.manifest import read_hidden_labels, read_labelled, read_pool
from dpc_lightning.errors import DataError
from tests.fuzzing.mutation import mutate_bytes, mutate_text
from tests.fuzzing.verdict import require

__all__ = ["fuzz_case"]

NAMES = tuple(f"{number:03d}.png" for number in range(12))
CLASSES = ("scratch", "dent", "particle")


def fuzz_case(seed: int, folder: Path) -> str:
    """Spoil a table in one way, and read the split.

    Args:
        seed: says how.
        folder: for the split; used again by later cases.

    Returns:
        `read`, or `refused: ` and the class of the error.

    Raises:
        AssertionError: if anything else comes out, if the message does not name the folder, or if a file has changed.
    """
    random = Random(seed)
    kind = random.choice(("labelled", "labelled", "pool", "hidden", "index"))
    images = folder / "images"
    if not images.is_dir():
        images.mkdir()
        for name in NAMES:
            (images / name).touch()
    table = folder / ("index.csv" if kind == "index" else "labels.csv")
    for other in ("index.csv", "labels.csv"):
        (folder / other).unlink(missing_ok=True)
    text = _table(random, kind)
    content = mutate_bytes(text.encode(), random) if random.random() < 0.2 else mutate_text(text, random, ",")
    table.write_bytes(content)
    try:
        outcome = _read(kind, folder)
    except DataError as error:
        require(str(folder) in str(error), f"the message does not name the file: {error}")
        outcome = f"refused: {type(error).__name__}"
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    after = table.read_bytes()
    grown = kind == "index" and outcome == "read" and after.startswith(b"image\n")
    assert after == content or grown, "the file has changed"
    left = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".index.csv.lock"))
    assert left == sorted({"images", table.name}), f"something was left behind: {left}"
    return outcome


def _table(random: Random, kind: str) -> str:
    if kind == "index":
        return "\n".join(["image", *NAMES[: random.choice((6, 12))]]) + "\n"
    grouped = random.random() < 0.5
    rows = [",".join(["image", *(["group"] if grouped else []), *CLASSES])]
    for place, name in enumerate(NAMES):
        bits = [random.choice("01") for _ in CLASSES]
        rows.append(",".join([name, *([f"board {place // 3}"] if grouped else []), *bits]))
    return "\n".join(rows) + "\n"


def _read(kind: str, folder: Path) -> str:
    if kind == "labelled":
        table = read_labelled(folder)
        assert table.labels.shape == (len(table.manifest), len(table.classes))
        assert set(table.manifest.images) == set(NAMES)
        return "read"
    pool = read_pool(folder)
    assert set(pool.images) == set(NAMES)
    if kind == "hidden":
        labels = read_hidden_labels(folder, CLASSES, pool)
        assert labels is None or labels.shape == (len(pool), len(CLASSES))
    return "read"
