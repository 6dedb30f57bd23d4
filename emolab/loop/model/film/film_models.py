"""The models of the channels of a video: which ones are meant, opened, and the rule that puts them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.model.film.film_turns import FACE, NONE, VOICE, WORDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.config import Config
    from emolab.inference.served_model import ServedModel
    from emolab.loop.model.film.predict_film import ChannelChoice
    from emolab.modalities.own_models import OwnModel
    from emolab.progress import Progress
    from emolab.serving.predictor import Model
    from emolab.stats.fusion import Fuser
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class FilmModels:
    """An open model for each channel, ``None`` where it is left out, and how much each counts (``weights``).

    ``transcript`` is a file of captions, ``transcriber`` else a folder of whisper that writes them down in the language
    ``spoken``; ``hears``: the video must have sound.
    ``priors`` are the shares of the classes in each model's probabilities; ``notes`` say what was taken or is missing.
    """

    face: Model | None = None
    voice: Model | None = None
    words: OwnModel | None = None
    transcript: Path | None = None
    transcriber: str = ""
    spoken: str = ""
    hears: bool = True
    weights: Mapping[str, float] = field(default_factory=dict)
    priors: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def ids(self) -> dict[str, str | None]:
        """The id of each channel's model."""
        return {name: None if model is None else model.id for name, model in self._all()}

    def classes_of(self, channel: str) -> tuple[str, ...]:
        """The classes of the model of ``channel``, by its own names."""
        found = dict(self._all())[channel]
        return () if found is None else found.classes

    def fuser(self) -> Fuser:
        """What puts the channels together."""
        from emolab.stats.fusion import Channel, Fuser

        return Fuser(
            [
                Channel(name, model.classes, self.priors.get(name), self.weights.get(name, 1.0))
                for name, model in self._all()
                if model is not None
            ]
        )

    def _all(self) -> list[tuple[str, Any]]:
        return [(FACE, self.face), (VOICE, self.voice), (WORDS, self.words)]


def open_models(
    workspace: Workspace | None,
    choice: ChannelChoice,
    config: Config,
    *,
    device: str | None,
    progress: Progress,
) -> FilmModels:
    """The models that are meant, opened without PyTorch.

    Raises :class:`ConfigError` where none is left, where one is of another kind, or for a weight without its channel.
    """
    from emolab.errors import ConfigError
    from emolab.stats.fusion import exclusive

    _check_weights(choice)
    notes: list[str] = []
    priors: dict[str, NDArray[np.float64]] = {}
    found: dict[str, Any] = {FACE: None, VOICE: None}
    for channel, name, usual in ((FACE, choice.face, "face48"), (VOICE, choice.voice, _usual_voice(workspace))):
        wanted = name if name is not None else usual
        if wanted is None:
            notes.append("the voice is not judged: there is no model of voices here (--voice MODEL)")
        elif wanted != NONE:
            found[channel] = _network(workspace, wanted, channel, config, device=device, progress=progress)
            prior = _prior(workspace, wanted, found[channel])
            if prior is not None:
                priors[channel] = prior
    words = _words(workspace, choice.words)
    if words is not None and words.prior is not None:
        priors[WORDS] = exclusive(words.prior[None])[0]
    if words is None and choice.transcript is not None and choice.words != NONE:
        notes.append("what is said is shown and not judged: there is no model of words here (--words MODEL)")
    written = config.collect.transcriber if words is not None and choice.transcript is None else ""
    if words is not None and choice.transcript is None and not written:
        notes.append("the words are not judged: there is no transcript (--transcript FILE)")
    if found[FACE] is None and found[VOICE] is None and words is None:
        raise ConfigError("No channel is left to judge.", hint="Name a model: --face face48")
    return FilmModels(
        face=found[FACE],
        voice=found[VOICE],
        words=words,
        transcript=choice.transcript,
        transcriber=written,
        spoken=config.collect.spoken,
        hears=choice.voice != NONE,
        weights=dict(choice.weights),
        priors=priors,
        notes=tuple(notes),
    )


def _check_weights(choice: ChannelChoice) -> None:
    from emolab.errors import ConfigError
    from emolab.stats.fusion import MOST_WEIGHT

    for name, weight in choice.weights.items():
        if name not in (FACE, VOICE, WORDS):
            raise ConfigError(f"There is no channel {name}.", hint="Channels are face, voice and words.")
        if not 0 <= weight <= MOST_WEIGHT:
            raise ConfigError(f"The weight of {name} is {weight:g}; it may be 0 to {MOST_WEIGHT:g}.")
        if getattr(choice, name) == NONE:
            raise ConfigError(f"{name} has a weight and is left out.", hint="Leave one of the two out.")


def _usual_voice(workspace: Workspace | None) -> str | None:
    """The champion of a ``workspace`` of voices, else the model that comes with emolab; ``None`` without either."""
    from emolab.inference import model_document
    from emolab.loop.model.models import bundled_network, champion, folder_in
    from emolab.modalities.own_models import own_document

    if workspace is not None and champion(workspace) is not None:
        folder = folder_in(workspace, "champion")
        if own_document(folder) is None and model_document.describe(folder).preprocessing.has_voices:
            return "champion"
    return bundled_network("audio")


def _network(
    workspace: Workspace | None,
    name: str,
    channel: str,
    config: Config,
    *,
    device: str | None,
    progress: Progress,
) -> ServedModel:
    """The network called ``name``, which answers about what ``channel`` holds."""
    from emolab.errors import ConfigError
    from emolab.loop.model.models import exported, folder_in
    from emolab.loop.model.open_model import open_model
    from emolab.modalities.own_models import own_document

    if exported(name) is None and own_document(folder_in(workspace, name)) is not None:
        raise ConfigError(f"--{channel} {name} is a model of words.", hint="Give it as --words.")
    how = config.training
    model = open_model(
        workspace, name, threads=how.threads, engine=how.engine, device=device, alone=f"--{channel}", progress=progress
    )
    right = model.preprocessing.has_faces if channel == FACE else model.preprocessing.has_voices
    if not right:
        other = VOICE if channel == FACE else FACE
        raise ConfigError(f"--{channel} {name} is a model of {other}s.", hint=f"It is one for the {other}.")
    return model


def _words(workspace: Workspace | None, name: str | None) -> OwnModel | None:
    """The model of words that is meant, or the champion of a workspace of sentences; ``None`` where there is none."""
    from emolab.errors import ConfigError
    from emolab.loop.model.models import champion, exported, folder_in
    from emolab.modalities.own_models import own_model

    if name == NONE or (name is None and (workspace is None or champion(workspace) is None)):
        return None
    found = own_model(folder_in(workspace, name or "champion")) if exported(name or "champion") is None else None
    if found is None and name is not None:
        raise ConfigError(
            f"--words {name} is no model of words.", hint="A workspace of sentences trains one (docs/text.md)."
        )
    return found


def _prior(workspace: Workspace | None, name: str, model: ServedModel) -> NDArray[np.float64] | None:
    """The shares of the classes among the validation samples, on which the model was calibrated.

    ``None`` where its file does not tell, as an exported one does not.
    """
    from emolab.inference import model_document
    from emolab.loop.model.models import exported, folder_in

    if exported(name) is not None:
        return None
    rows = model_document.describe(folder_in(workspace, name)).metrics.get("valid", {}).get("per_class", ())
    return prior_of({row["class"]: row["support"] for row in rows}, model.classes)


def prior_of(counts: Mapping[str, float], classes: Sequence[str]) -> NDArray[np.float64] | None:
    """Shares (k,) of ``classes`` by their ``counts``, one more each; ``None`` without any count."""
    import numpy as np

    found = np.array([float(counts.get(name, 0)) for name in classes]) + 1
    shares: NDArray[np.float64] = found / found.sum()
    return shares if len(counts) else None
