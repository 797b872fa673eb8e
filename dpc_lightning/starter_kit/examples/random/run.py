"""Buys images by chance: what every other entry has to beat."""

import random

from evaluator.exceptions import OutOfBudgetException


class ZEWDPCBaseRun:
    def pre_training_phase(self, training_dataset, register_progress=lambda progress: False):
        register_progress(1.0)

    def purchase_phase(self, unlabelled_dataset, training_dataset, purchase_budget, register_progress=lambda p: False):
        order = list(range(len(unlabelled_dataset)))
        random.Random(0).shuffle(order)
        labels = {}
        for index in order:
            try:
                labels[index] = unlabelled_dataset.purchase_label(index)
            except OutOfBudgetException:
                break
            register_progress(len(labels) / purchase_budget)
        return labels
