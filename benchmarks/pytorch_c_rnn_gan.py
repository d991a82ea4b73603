"""The networks of C-RNN-GAN as PyTorch users write them: the rival of `train_step.py`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Generator(nn.Module):
    """Noise [batch, time, features] -> music of that shape; a step sees the output of the last."""

    def __init__(self, features: int, hidden: int, layers: int, dropout: float):
        super().__init__()
        self.features, self.layers = features, layers
        self.input_layer = nn.Linear(2 * features, hidden)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
        self.out = nn.Linear(hidden, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, noise: Any) -> Any:
        """Gives music."""
        y = torch.rand(len(noise), self.features)
        states: list[Any] = [None] * self.layers
        steps = []
        for x in noise.unbind(1):
            x = torch.relu(self.input_layer(torch.cat([x, y], 1)))
            for k, cell in enumerate(self.cells):
                states[k] = cell(x, states[k])
                x = self.dropout(states[k][0])
            y = self.out(x)
            steps.append(y)
        return torch.stack(steps, 1)


class Discriminator(nn.Module):
    """Music [batch, time, features] -> probabilities [batch] that it is real.

    Two stacks, one in each direction; or, with `bidirectional`, one whose upper layers read
    both directions of the layer below.
    """

    def __init__(
        self, features: int, hidden: int, layers: int, dropout: float, bidirectional: bool
    ):
        super().__init__()
        self.stacks = nn.ModuleList(
            nn.LSTM(
                features, hidden, layers,
                batch_first=True, dropout=dropout, bidirectional=bidirectional,
            )
            for _ in range(1 if bidirectional else 2)
        )  # fmt: skip
        self.out = nn.Linear(2 * hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, music: Any) -> Any:
        """Gives the mean over the steps, kept from 0 and 1."""
        x = self.dropout(music)
        features = self.stacks[0](x)[0]
        for backward in self.stacks[1:]:
            features = torch.cat([features, backward(x.flip(1))[0].flip(1)], 2)
        return torch.sigmoid(self.out(self.dropout(features))).mean((1, 2)).clamp(1e-7, 1 - 1e-7)
