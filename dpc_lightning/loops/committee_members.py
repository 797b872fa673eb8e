"""The models at the ends of earlier phases, for rules that hear more than the current one."""

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from dpc_lightning.errors import RunDirError
from dpc_lightning.loops.rank_zero import on_rank_zero
from dpc_lightning.models.backbone import Network
from dpc_lightning.models.classifier import MultiLabelClassifier

__all__ = ["earlier_networks", "member_phases"]

PREFIX = "network."
"""What names of the network's weights begin with in a checkpoint."""


def member_phases(round_number: int, members: int) -> list[str]:
    """Name the phases whose models are heard in a round beside the current model, the latest first.

    Args:
        round_number: the round, from 1; its pool is scored by the model of the phase before it.
        members: models at most, the current one included.

    Example:
        >>> member_phases(1, 3), member_phases(2, 3), member_phases(5, 3)
        ([], ['pretrain'], ['round_3', 'round_2'])
    """
    earlier = range(round_number - 2, max(-1, round_number - 1 - members), -1)
    return [f"round_{phase}" if phase else "pretrain" for phase in earlier]


def earlier_networks(trainer: Trainer, module: MultiLabelClassifier, folder: Path, phases: list[str]) -> list[Network]:
    """Load the networks of earlier phases on every rank; rank 0 reads.

    Args:
        trainer: the trainer of the run, which knows the ranks.
        module: the classifier, with a network of the same recipe.
        folder: where `RunCheckpoint` keeps the weights at the end of each phase.
        phases: names of the phases.

    Returns:
        A network a phase, in evaluation, on the device and of the type of the current one.

    Raises:
        RunDirError: on all ranks, if a checkpoint is missing, damaged, or of another network.
    """
    networks: list[Network] = []
    for phase in phases:
        file = folder / f"{phase}.ckpt"
        weights = on_rank_zero(trainer, partial(_read, file))
        network = copy.deepcopy(module.network)
        try:
            nn.Module.load_state_dict(network, weights)
        except RuntimeError as error:
            raise _unusable(file, str(error).partition("\n")[0]) from error
        networks.append(network.eval())
    return networks


def _read(file: Path) -> Mapping[str, Tensor]:
    try:
        state: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:  # torch names no base of what a damaged file raises
        raise _unusable(file, str(error).partition("\n")[0]) from error
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}


def _unusable(file: Path, reason: str) -> RunDirError:
    return RunDirError(
        f"Expected the weights of an earlier phase in {file}, for the rule is a committee, but they cannot be used: "
        f"{reason}. Put the file back, or take a rule that hears the current model alone."
    )
