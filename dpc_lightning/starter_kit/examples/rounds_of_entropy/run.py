"""The winner's way: rounds of entropy, as many as the compute budget allows."""

import math
import time

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


MOST_ROUNDS = 6
EPOCHS = 40
ROUND_EPOCHS = 15
RESERVE = 0.7  # share of the seconds that the plan may use


class ZEWDPCBaseRun:
    def pre_training_phase(self, training_dataset, compute_budget, register_progress=lambda progress: False):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.images = pixels_of(training_dataset)
        self.labels = torch.from_numpy(np.stack([item["label"] for item in training_dataset]))
        self.network = Network(self.labels.shape[1])
        start = time.monotonic()
        train(self.network, self.images, self.labels, epochs=EPOCHS)
        self.seconds_an_image = (time.monotonic() - start) / (EPOCHS * len(self.images))
        register_progress(0.3)

    def purchase_phase(
        self,
        unlabelled_dataset,
        training_dataset,
        purchase_budget,
        compute_budget,
        register_progress=lambda progress: False,
    ):
        start = time.monotonic()
        pool = pixels_of(unlabelled_dataset)
        logits = logits_of(self.network, pool)
        scoring = time.monotonic() - start  # reading included, which later rounds need not do again
        rounds = self.rounds_that_fit(purchase_budget, RESERVE * compute_budget - scoring, scoring)
        left = torch.ones(len(pool), dtype=torch.bool)
        bought = {}
        for number in range(1, rounds + 1):
            wanted = purchase_budget * number // rounds - len(bought)
            scores = entropy_of(logits).masked_fill(~left, -1.0)
            picks = scores.argsort(descending=True, stable=True)[: min(wanted, int(left.sum()))].tolist()
            try:
                for index in picks:
                    bought[index] = unlabelled_dataset.purchase_label(index)
            except OutOfBudgetException:
                break
            left[picks] = False
            register_progress(0.3 + 0.7 * number / rounds)
            if number < rounds:
                images = torch.cat([self.images, pool[list(bought)]])
                labels = torch.cat([self.labels, torch.from_numpy(np.stack(list(bought.values())))])
                train(self.network, images, labels, epochs=ROUND_EPOCHS)
                logits = logits_of(self.network, pool)
        return bought

    def rounds_that_fit(self, budget, seconds, scoring):
        """Simulate the time of schedules, and take the one with most rounds that fits."""
        if math.isinf(seconds):
            return MOST_ROUNDS
        for rounds in range(MOST_ROUNDS, 1, -1):
            images = sum(len(self.images) + budget * number // rounds for number in range(1, rounds))
            if ROUND_EPOCHS * images * self.seconds_an_image + (rounds - 1) * scoring <= seconds:
                return rounds
        return 1
