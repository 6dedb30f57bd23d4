"""Images of bytes in, logits out: normalisation, backbone, dropout and head in one module."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from emolab.training.networks.backbones import Backbone


class Classifier(nn.Module):
    """(n, c, h, w) uint8 with c = 1 (gray) or 3 -> logits (n, k).

    Bytes travel to the network unchanged; the mean and spread are taken off here, so that training, evaluation and
    prediction cannot differ.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, n_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone.module
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.width, n_classes)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.weight, std=0.01)
        self.layout = torch.channels_last  # of images in memory; weights follow with .to(memory_format=)
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, -1, 1, 1) * 255, persistent=False)
        self.register_buffer("scale", 1 / (torch.tensor(backbone.std).view(1, -1, 1, 1) * 255), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Penultimate features (n, d), float32."""
        x = (images.float() - self.mean) * self.scale  # a gray channel becomes three here
        return cast(Tensor, self.backbone(x.contiguous(memory_format=self.layout)).float())

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, k), float32."""
        return cast(Tensor, self.head(self.dropout(self.features(images))).float())

    def freeze_backbone(self, frozen: bool) -> None:
        """Stop or resume learning in the backbone; frozen, its batch norms also keep their statistics."""
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(not frozen)
        self.backbone.train(not frozen)
