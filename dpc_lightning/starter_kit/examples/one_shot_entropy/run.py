"""Trains once, then buys the images of which it is least sure: all at once."""

import numpy as np
import torch
from evaluator.exceptions import OutOfBudgetException
from PIL import Image
from torch import nn


class Network(nn.Module):
    """A small convolutional network on images of 32 x 32 pixels."""

    def __init__(self, classes):
        super().__init__()
        layers, channels = [], 3
        for width in (16, 32, 64):
            layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(channels, classes)

    def forward(self, images):
        return self.head(self.body(images.float() / 127.5 - 1))


def pixels_of(dataset):
    """All images of a dataset as one tensor (N, 3, 32, 32) uint8."""
    images = [np.asarray(item["image"].resize((32, 32), Image.BILINEAR)) for item in dataset]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def train(network, images, labels, epochs):
    """Train on all images, with flips."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = epochs * -(-len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(64):
            batch = images[rows].flip(3) if torch.rand(()) < 0.5 else images[rows]
            loss = nn.functional.binary_cross_entropy_with_logits(network(batch), labels[rows].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def logits_of(network, images):
    """What the network says of all images, (N, C)."""
    network.eval()
    return torch.cat([network(batch) for batch in images.split(512)])


def entropy_of(logits):
    """Binary entropy, averaged over the classes, without NaN where a probability is 0 or 1."""
    p = torch.sigmoid(logits)
    return (-(p * nn.functional.logsigmoid(logits) + (1 - p) * nn.functional.logsigmoid(-logits))).mean(dim=1)


class ZEWDPCBaseRun:
    def pre_training_phase(self, training_dataset, compute_budget=None, register_progress=lambda progress: False):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        labels = torch.from_numpy(np.stack([item["label"] for item in training_dataset]))
        self.network = Network(labels.shape[1])
        train(self.network, pixels_of(training_dataset), labels, epochs=40)
        register_progress(1.0)

    def save_checkpoint(self, checkpoint_folder):
        torch.save(self.network.state_dict(), checkpoint_folder + "/network.pt")

    def load_checkpoint(self, checkpoint_folder):
        self.network.load_state_dict(torch.load(checkpoint_folder + "/network.pt"))

    def purchase_phase(
        self,
        unlabelled_dataset,
        training_dataset,
        purchase_budget,
        compute_budget,
        register_progress=lambda progress: False,
    ):
        scores = entropy_of(logits_of(self.network, pixels_of(unlabelled_dataset)))
        bought = {}
        for index in scores.argsort(descending=True, stable=True).tolist():
            try:
                bought[index] = unlabelled_dataset.purchase_label(index)
            except OutOfBudgetException:
                break
            register_progress(len(bought) / purchase_budget)
        return bought
