"""Names to functions, loaded on use; third parties add theirs by entry point.

A registry maps a name to ``"module:function"``. Built-ins are listed here, so that the listing is the feature list;
other packages register under the entry-point group of the same registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from emolab.errors import EmolabError, UnknownName


@dataclass(frozen=True)
class Registry:
    """One extension point: ``kind`` for messages, ``group`` for entry points, ``builtins`` name to target."""

    kind: str
    group: str
    builtins: Mapping[str, str]

    @cached_property
    def _plugins(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def names(self) -> tuple[str, ...]:
        """Every known name, built-ins first, in order of registration."""
        return (*self.builtins, *(name for name in self._plugins if name not in self.builtins))

    def load(self, name: str) -> Callable[..., Any]:
        """The function behind ``name``.

        Raises :class:`UnknownName` with the nearest match, or :class:`EmolabError` when a plugin fails to import.
        """
        if name in self.builtins:
            module, _, function = self.builtins[name].partition(":")
            target: Callable[..., Any] = getattr(import_module(module), function)
            return target
        if name not in self._plugins:
            raise UnknownName(self.kind, name, self.names())
        point = self._plugins[name]
        try:
            plugin: Callable[..., Any] = point.load()
        except (ImportError, AttributeError) as error:
            raise EmolabError(
                f'The {self.kind} "{name}" ({point.value}) could not be loaded: {error}.',
                hint="Repair or uninstall the package that provides it.",
            ) from error
        return plugin


READERS = Registry(
    "reader",
    "emolab.readers",
    {
        "image_folder": "emolab.datasets.readers.image_folder:read",
        "csv": "emolab.datasets.readers.csv:read",
        "ferplus": "emolab.datasets.readers.ferplus:read",
        "fer2013": "emolab.datasets.readers.fer2013:read",
        "goemotions": "emolab.datasets.readers.goemotions:read",
        "ravdess": "emolab.datasets.readers.voices.ravdess:read",
        "tess": "emolab.datasets.readers.voices.tess:read",
        "savee": "emolab.datasets.readers.voices.savee:read",
        "cremad": "emolab.datasets.readers.voices.cremad:read",
        "cremad_intended": "emolab.datasets.readers.voices.cremad:intended",
    },
)

AGGREGATORS = Registry(
    "aggregator",
    "emolab.aggregators",
    {
        "majority": "emolab.labeling.labels.aggregators.majority:aggregate",
        "soft": "emolab.labeling.labels.aggregators.soft:aggregate",
        "dawid_skene": "emolab.labeling.labels.aggregators.dawid_skene:aggregate",
        "hybrid": "emolab.labeling.labels.aggregators.hybrid:aggregate",
    },
)

MODALITIES = Registry(
    "modality",
    "emolab.modalities",
    {
        "image": "emolab.modalities.image.images:ImageModality",
        "audio": "emolab.modalities.audio.clips:AudioModality",
        "text": "emolab.modalities.text.sentences:TextModality",
    },
)

INTAKES = Registry(
    "intake",
    "emolab.intakes",
    {
        "image": "emolab.modalities.image.image_intake:ImageIntake",
        "audio": "emolab.modalities.audio.sound_intake:SoundIntake",
        "text": "emolab.modalities.text.text_intake:TextIntake",
    },
)

COPIES = Registry(
    "finder of copies",
    "emolab.copies",
    {
        "image": "emolab.datasets.near_copies.pictures:PictureCopies",
        "audio": "emolab.datasets.near_copies.sounds:SoundCopies",
    },
)

BACKBONES = Registry(
    "backbone",
    "emolab.backbones",
    {
        "face48": "emolab.training.networks.face48:build",
        "voice16": "emolab.training.networks.voice16:build",
        "whisper-tiny": "emolab.training.networks.encoder_file:build",
        "whisper-base": "emolab.training.networks.encoder_file:build",
        "whisper-small": "emolab.training.networks.encoder_file:build",
        "whisper-medium": "emolab.training.networks.encoder_file:build",
        "tiny": "emolab.training.networks.tiny:build",
        "hog": "emolab.training.networks.hog:build",
        "bands": "emolab.training.networks.bands:build",
        "mobilenet_v2": "emolab.training.networks.backbones:torchvision_model",
        "resnet50": "emolab.training.networks.backbones:torchvision_model",
        "vgg19": "emolab.training.networks.backbones:torchvision_model",
    },
)

AUGMENTATIONS = Registry(
    "augmentation",
    "emolab.augmentations",
    {
        "warp": "emolab.training.augment.warp:build",
        "torchvision": "emolab.training.augment.torchvision_v2:build",
        "spectrogram": "emolab.training.augment.spectrogram:build",
        "imgaug": "emolab.training.augment.imgaug:build",
    },
)

STRATEGIES = Registry(
    "strategy",
    "emolab.strategies",
    {
        "auto": "emolab.active_learning.strategies.auto:select",
        "random": "emolab.active_learning.strategies.random:select",
        "least_confidence": "emolab.active_learning.strategies.least_confidence:select",
        "margin": "emolab.active_learning.strategies.margin:select",
        "entropy": "emolab.active_learning.strategies.entropy:select",
        "coreset": "emolab.active_learning.strategies.coreset:select",
        "typiclust": "emolab.active_learning.strategies.typiclust:select",
        "maxherding": "emolab.active_learning.strategies.maxherding:select",
        "uherding": "emolab.active_learning.strategies.uherding:select",
        "bald": "emolab.active_learning.strategies.bald:select",
        "badge": "emolab.active_learning.strategies.badge:select",
        "bait": "emolab.active_learning.strategies.bait:select",
        "cluster_margin": "emolab.active_learning.strategies.cluster_margin:select",
    },
)

DETECTORS = Registry(
    "detector of drift",
    "emolab.detectors",
    {
        "class_mix": "emolab.monitoring.detectors.class_mix:detect",
        "confidence": "emolab.monitoring.detectors.confidence:detect",
        "embedding_mmd": "emolab.monitoring.detectors.embedding_mmd:detect",
        "domain_classifier": "emolab.monitoring.detectors.domain_classifier:detect",
        "input_quality": "emolab.monitoring.detectors.input_quality:detect",
        "annotators_agreement": "emolab.monitoring.detectors.annotators_agreement:detect",
        "annotators_speed": "emolab.monitoring.detectors.annotators_speed:detect",
    },
)

ALERTS = Registry(
    "alert channel",
    "emolab.alerts",
    {
        "webhook": "emolab.monitoring.alerts.channels.web_hook:connect",
        "email": "emolab.monitoring.alerts.channels.mail:connect",
        "file": "emolab.monitoring.alerts.channels.alarm_file:connect",
    },
)
