"""Written by someone who has read the challenge's pages and nothing of this project.

Pre-trains a small network, then buys in two rounds: half where the network is unsure, half where it expects rare damages.
"""

import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from evaluator.dataset import ZEWDPCBaseDataset, ZEWDPCProtectedDataset
from evaluator.exceptions import OutOfBudgetException
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

random.seed(1)
np.random.seed(1)
torch.manual_seed(1)


class WithTransform(Dataset):
    def __init__(self, dataset):
        self.dataset = dataset
        self.transform = transforms.Compose([transforms.Resize((24, 24)), transforms.ToTensor()])

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        sample = self.dataset[i]
        image = self.transform(sample["image"])
        if "label" in sample:
            return image, torch.as_tensor(sample["label"], dtype=torch.float32)
        return image, sample["idx"]


class ZEWDPCBaseRun:
    """A run of the data purchasing challenge."""

    def __init__(self):
        self.net = None
        self.evaluation_failed = False

    def _network(self, classes):
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(64, classes),
        )

    def _fit(self, items, epochs):
        opt = torch.optim.Adam(self.net.parameters(), 1e-2)
        for _ in range(epochs):
            for x, y in DataLoader(items, batch_size=32, shuffle=True, num_workers=0):
                opt.zero_grad()
                F.binary_cross_entropy_with_logits(self.net(x), y).backward()
                opt.step()

    def pre_training_phase(
        self, training_dataset: ZEWDPCBaseDataset, compute_budget=10**10, register_progress=lambda x: False
    ):
        items = WithTransform(training_dataset)
        self.classes = len(training_dataset[0]["label"])
        self.net = self._network(self.classes)
        self._fit(items, 5)
        register_progress(0.5)

    def purchase_phase(
        self,
        unlabelled_dataset: ZEWDPCProtectedDataset,
        training_dataset: ZEWDPCBaseDataset,
        purchase_budget=1000,
        compute_budget=10**10,
        register_progress=lambda x: False,
    ):
        results = {}
        loader = DataLoader(WithTransform(unlabelled_dataset), batch_size=16, num_workers=2)
        for round_ in range(2):
            self.net.eval()
            with torch.no_grad():
                batches = [(torch.sigmoid(self.net(x)), idx) for x, idx in loader]
            p = torch.cat([b[0] for b in batches])
            idx = torch.cat([b[1] for b in batches])
            score = -(p * torch.log(p + 1e-9) + (1 - p) * torch.log(1 - p + 1e-9)).mean(1) if round_ == 0 else p.sum(1)
            wanted = purchase_budget // 2 if round_ == 0 else purchase_budget
            for i in idx[score.argsort(descending=True)].tolist():
                if len(results) >= wanted:
                    break
                if i in results:
                    continue
                try:
                    results[i] = unlabelled_dataset.purchase_label(i)
                except OutOfBudgetException:
                    print("out of budget")
                    break
            register_progress(0.75 + 0.25 * round_)
            loader = DataLoader(Unbought(unlabelled_dataset), batch_size=16)
        return results

    def save_checkpoint(self, checkpoint_folder):
        torch.save(self.net.state_dict(), os.path.join(checkpoint_folder, "model.pth"))
        with open(os.path.join(checkpoint_folder, "classes.txt"), "w") as f:
            f.write(str(self.classes))

    def load_checkpoint(self, checkpoint_folder):
        with open(os.path.join(checkpoint_folder, "classes.txt")) as f:
            self.classes = int(f.read())
        self.net = self._network(self.classes)
        self.net.load_state_dict(torch.load(os.path.join(checkpoint_folder, "model.pth")))


class Unbought(WithTransform):
    def __getitem__(self, i):
        sample = self.dataset[i]
        return self.transform(sample["image"]), sample["idx"]
