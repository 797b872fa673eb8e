"""`predict`: probabilities and decisions of a run's final model for a folder of images, as CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jsonargparse import ArgumentParser
from rich.progress import Progress

from dpc_lightning.atomic import write_text
from dpc_lightning.checkpoint_file import CheckpointFile
from dpc_lightning.cli import PurchaseCLI
from dpc_lightning.data.datamodule import TrainView
from dpc_lightning.data.loaders import worker_errors
from dpc_lightning.errors import RunDirError
from dpc_lightning.run_dir import RunDir

__all__ = ["main", "predict_folder"]


def main(argv: Sequence[str]) -> int:
    """Run the command `predict`.

    Args:
        argv: words after `predict`.

    Returns:
        The exit status.
    """
    parser = ArgumentParser(prog="dpc-lightning predict", description="Write probabilities and decisions as CSV.")
    parser.add_argument("--run_dir", type=Path, required=True, help="Folder of a finished run.")
    parser.add_argument("--images", type=Path, required=True, help="Folder of images.")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write; it is complete or absent.")
    parser.add_argument("--accelerator", type=str, default="auto", help="`cpu`, `gpu`, or `auto` for what is there.")
    words = parser.parse_args(list(argv))
    count = predict_folder(RunDir(words.run_dir.absolute()), words.images, words.out, words.accelerator)
    print(f"{count} images predicted into {words.out}")
    return 0


def predict_folder(run_dir: RunDir, images: Path, out: Path, accelerator: str = "auto") -> int:
    """Predict every image of a folder with the final model of a run.

    The file has the columns `image`, `p_<class>` (probabilities) and `<class>` (0/1 by the thresholds that were tuned
    on validation).

    Args:
        run_dir: folder of a finished run.
        images: folder of images, of any size and mode.
        out: CSV file to write.
        accelerator: `cpu`, `gpu`, or `auto`.

    Returns:
        Number of images.

    Raises:
        RunDirError: if the run has no configuration, or no final model that is whole, or the file cannot be written.
        DataError: if the folder has no images, or one cannot be read; the message names it.
    """
    for file in (run_dir.config, run_dir.final_checkpoint):
        if not file.is_file():
            msg = f"There is no {file}: expected the folder of a finished run. Finish it by its `fit` command."
            raise RunDirError(msg)
    built = PurchaseCLI(["--config", str(run_dir.config)], run=False)
    module, data = built.model, built.datamodule
    files = CheckpointFile(run_dir.checkpoints)  # torch alone does not look at the checksums
    checkpoint = files.load_checkpoint(run_dir.final_checkpoint, map_location="cpu", weights_only=True)
    module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"])
    use_gpu = torch.cuda.is_available() if accelerator == "auto" else accelerator == "gpu"
    device = torch.device("cuda" if use_gpu else "cpu")
    module.to(device).eval()
    data.enter_phase(TrainView(blur=module.evaluate.blur))
    loader = data.image_folder_loader(images)
    classes, thresholds = list(module.classes), np.asarray(module.thresholds)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *(f"p_{name}" for name in classes), *classes])
    count = 0
    with torch.no_grad(), worker_errors(), Progress(transient=True) as progress:
        task = progress.add_task("predicting", total=len(loader))
        for batch in loader:
            probabilities = module.predict_logits(batch["image"].to(device)).sigmoid().cpu().numpy()
            for name, row in zip(batch["name"], probabilities, strict=True):
                writer.writerow([name, *(f"{value:.6f}" for value in row), *(row >= thresholds).astype(int)])
            count += len(probabilities)
            progress.advance(task)
    write_text(out, text.getvalue())
    return count
