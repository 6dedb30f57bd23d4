"""Settings: defaults, then ``emolab.toml``, then ``--set section.key=value``. An unknown key is an error."""

from __future__ import annotations

import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from emolab import ranges
from emolab.addresses import check_mail_box, check_webhook, mail_server, web_host
from emolab.errors import ConfigError, UnknownName
from emolab.plugins import MODALITIES
from emolab.taxonomy import PRESETS, check_classes
from emolab.votes.picture_bar import Bar
from emolab.votes.quota import VoteQuota, parse

FILE_NAME = "emolab.toml"


@dataclass(frozen=True, kw_only=True)
class ProjectConfig:
    """What is labelled."""

    name: str = "emolab"  # shown in reports and on the labelling server
    classes: tuple[str, ...] = PRESETS["ferplus8"]  # the emotions to tell apart, in order
    modality: str = "image"  # what a sample is

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", check_classes(self.classes))
        if self.modality not in MODALITIES.builtins and self.modality not in MODALITIES.names():
            raise UnknownName("modality", self.modality, MODALITIES.names())


@dataclass(frozen=True, kw_only=True)
class CatalogConfig:
    """Where the system of record lives; an empty ``url`` is SQLite inside the workspace."""

    url: str = ""  # any SQLAlchemy address, such as postgresql+psycopg://user@host/emolab


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """How files become samples."""

    faces: str = "auto"  # auto | all | largest | off
    detector: str = ""  # path of YuNet weights; empty: the ones that come with emolab
    min_score: float = 0.6  # detector score below which a face is not believed
    min_face: int = 32  # pixels; smaller faces are not cut out
    margin: float = 0.25  # added on every side of a face box, as a share of its longer side
    tight: int = 100  # pixels; with faces = "auto", images with a shorter side up to this are face crops already
    detect_size: int = 640  # pixels; the longer side is reduced to this before faces are looked for
    detect_again: int = 12_000_000  # pixels of a second look where no face is large; larger images are reduced; 0: none
    every: float = 1.0  # seconds between frames taken from a video
    similar: float = 0.06  # of black to white; a frame no part of which changed by this is left out
    max_pixels: int = 100_000_000  # larger images are refused: a few kilobytes can announce gigabytes
    max_bytes: int = 512 << 20  # larger files are refused, in folders and in zips
    clip_seconds: float = 12.0  # longer recordings are cut, between what is said, into clips of up to this
    voice_activity: str = "webrtc"  # who finds voice in sound: webrtc | silero (pip install --no-deps silero-vad)
    masking: bool = True  # take names, addresses and numbers out of sentences before they are kept
    transcriber: str = ""  # folder of a whisper model, which writes down what is said in recordings; empty: none
    spoken: str = ""  # language of the recordings for it, such as de; empty: as the model hears it
    speaker_encoder: str = ""  # file of a speaker encoder, by which --guess-speakers tells voices apart; empty: none
    speaker_limit: float = 0.5  # mean cosine from which clips are taken for one voice; higher: more, smaller groups
    text_column: str = ""  # column or key of sentences in tables; empty: text, sentence, transcript and the like


@dataclass(frozen=True, kw_only=True)
class LabelingConfig:
    """The team's side of the loop."""

    url: str = ""  # a Label Studio server; empty: the embedded one
    public_url: str = ""  # address under which people reach that server, where it is another one; for links
    host: str = ""  # address the embedded one listens on; empty: this machine only; 0.0.0.0: the network
    port: int = 0  # port of the embedded one; 0: the last one used, else 8080 or the next free one
    project: str = ""  # project title; empty: named after the workspace
    overlap: int = 3  # annotators per sample
    votes: str = ""  # "3", or "1..5": one vote, up to five where in doubt; empty: as many as overlap says
    sure: float = 0.85  # with votes = "1..5": enough when ten people would agree with a chance of this or more
    model_opinion: bool = True  # with votes = "1..5": the champion's prediction counts as one more opinion
    aggregator: str = "hybrid"  # majority, soft, dawid_skene, hybrid or a plugin
    min_votes: int = 1  # samples with fewer people get no label
    anchoring: str = "correct"  # votes that repeat a guess people saw: correct (they count less) | ignore
    perspective: str = "perceived"  # whose votes count on a sample that has both: perceived | intended
    prior: float = 0.25  # votes worth of belief in the class shares that soft labels start from
    faceless: bool = False  # also send and suggest pictures in which no face was found
    max_blur: float = 0.975  # 0 sharp .. 1 blurred; blurrier pictures are neither sent nor suggested; 1: all are
    min_contrast: float = 0.03  # 0..1; flatter pictures (black, white) are neither sent nor suggested
    min_side: int = 24  # pixels; smaller pictures are neither sent nor suggested
    min_voice: float = 0.05  # 0..1; clips in less of which somebody speaks are neither sent nor suggested; 0: all are
    disguise_voice: bool = False  # annotators hear each speaker at another pitch; emotion stays, a voice is biometric
    show_predictions: bool = False  # showing them anchors annotators
    relearn: int = 20  # new votes after which a pull puts the open tasks in a new order; 0: a round keeps its order
    blind: float = 0.5  # with show_predictions: share of the samples whose form stays empty, to measure the anchoring
    language: str = "en"  # of the form and the instructions: en | de | es | fr | ru; labels travel by name
    names: tuple[str, ...] = ()  # own words on the buttons: ["happiness=Freude", ...]
    instructions: str = ""  # own text, before emolab's, for the annotators
    examples: str = ""  # a folder with example pictures for the instructions: DIR/CLASS/picture.jpg
    several: bool = False  # an answer may hold several labels, which share its vote; sentences, aggregator soft
    second_guess: bool = False  # offer a second, optional choice
    confidence: bool = False  # offer one to three stars for how sure one is

    def __post_init__(self) -> None:
        if self.votes:
            parse(self.votes)

    @property
    def bar(self) -> Bar:
        """What a sample must have to be sent or suggested."""
        return Bar(
            faceless=self.faceless,
            max_blur=self.max_blur,
            min_contrast=self.min_contrast,
            min_side=self.min_side,
            min_voice=self.min_voice,
        )

    @property
    def wanted(self) -> VoteQuota:
        """How many people are to look at a sample."""
        return parse(self.votes) if self.votes else VoteQuota(self.overlap, self.overlap)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained."""

    backbone: str = "face48"  # face48 | tiny | hog | any torchvision classification model | timm:NAME
    weights: str = "default"  # default: published ones | champion | pretrained: by emolab pretrain | none | PATH
    mode: str = "full"  # full: all layers learn | head: the backbone stays, its features are cached, the head is solved
    size: int | None = None  # pixels per side; where none is written here, the backbone's recipe decides
    color: str = "auto"  # auto: gray when every sample is gray | gray | rgb; clips: sound | whisper
    normalise: str = "none"  # none | speaker: clips by all known ones of their speaker, judged ones too (transductive)
    epochs: int | None = None  # passes over the training data; not set: the recipe of the backbone
    head_epochs: int | None = None  # epochs of the new head alone, before all layers learn
    batch: int | None = None  # images per step; not set: the recipe of the backbone
    optimizer: str = "auto"  # auto | adamw | sgd
    lr: float | None = None  # peak rate of the head
    depth_decay: float | None = None  # how much slower each third of the backbone learns than the next one
    weight_decay: float | None = None  # not set: the recipe of the backbone
    dropout: float | None = None  # before the head, 0..1; not set: the recipe of the backbone
    augmentation: str = "auto"  # auto: the recipe of the backbone | warp | torchvision | imgaug | none
    strength: float = 1.0  # of the augmentation; 0 changes nothing
    objective: str = "accuracy"  # accuracy | macro_f1: rare classes count as much | balanced: best mean recall
    average: float = 0.998  # decay of the EMA of the weights, which is what is judged and kept; 0: off
    teacher: str = ""  # models to learn from besides the votes (distillation): names or ids, with commas between them
    teacher_share: float = 0.5  # of the targets that is theirs and not the votes', 0..1
    flips: bool | None = None  # judge an image together with its mirror image, at twice the work; not set: the recipe
    patience: int = 10  # epochs of the second half without a lower validation loss that end a run; 0: never
    precision: str = "auto"  # auto: the quicker one, by timing the first steps | float32 | bfloat16
    tuning: bool = True  # time the first steps, keep freed memory in the process; false: plain float32, stock allocator
    device: str = "auto"  # auto: a CUDA GPU where there is one | cpu | cuda | mps: Apple's
    engine: str = "auto"  # of predictions on a CPU: auto: the quickest installed | openvino | onnx | torch
    threads: int | None = None  # of the CPU; none: all cores. Another number gives slightly other weights
    damaged: str = "stop"  # media files that cannot be used: stop and name them | leave_out: go on without them
    tensorboard: bool = True  # write scalars for TensorBoard beside each model
    mlflow: str = ""  # address of an MLflow server to tell of trainings; environment: what MLFLOW_TRACKING_URI says
    seed: int = 0  # same seed, same data, same model


@dataclass(frozen=True, kw_only=True)
class SuggestConfig:
    """Which samples are proposed next."""

    strategy: str = "auto"  # auto: the best in a replay of your own labels | see docs/selection-options.md | a plugin
    n: int = 100  # samples per round
    per_group: int | None = None  # at most so many of one subject, video or session in a round
    revotes: float = 0.3  # share of a round that may ask once more about answered samples; 0: new ones only
    balance: bool = False  # the same number of every class in a round, as far as the model can tell


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """The FiftyOne view."""

    port: int = 5151  # of the FiftyOne App, on loopback


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """The HTTP API: `emolab serve`."""

    host: str = "127.0.0.1"  # address to listen on; any but this machine's own demands keys
    port: int = 8000  # $PORT and $AIP_HTTP_PORT, which platforms set, come before it
    hosts: tuple[str, ...] = ()  # names in front of it, such as ["faces.example.org"]; "*" for every name
    origins: tuple[str, ...] = ()  # pages of other sites that may call, such as ["https://example.org"]
    threads: int | None = None  # cores for the model; not set: all
    readers: int = 2  # threads that decode pictures and find faces
    batch: int = 32  # crops that are computed together, at most
    wait_ms: float = 5.0  # a batch waits so long for requests that are on their way
    queue: int = 256  # pictures under way; above that a request is refused at once with 503
    max_bytes: int = 10 << 20  # of one request
    max_pixels: int = 30_000_000  # of one picture
    max_images: int = 64  # pictures of one request
    max_faces: int = 256  # faces of one request
    timeout: float = 30.0  # seconds for one request, waiting included
    upload_timeout: float = 20.0  # seconds within which a request must have come in
    connections: int = 1000  # open at once; more are refused with 503
    rate: float = 0.0  # requests per second of one caller, with bursts of twice as many; 0: no limit
    watch: float = 3.0  # seconds between looks into the catalog for the champion; a promotion is seen within a second
    shadow_share: float = 0.1  # of requests that a candidate answers unseen (--shadow)
    log: bool = False  # keep embeddings, probabilities and quality of what is answered; no pixels, words or names
    log_days: int = 400  # days that this log goes back
    log_bytes: int = 4 << 30  # of this log; its oldest days go first
    unsure: float = 0.0  # answers whose best class has a lower probability than this are marked
    coverage: float | None = (
        None  # 0.8, 0.9 or 0.95: each answer has the set of classes that holds the right one so often
    )


@dataclass(frozen=True, kw_only=True)
class OperationsConfig:
    """Models in use: who decides, and by what."""

    promoters: tuple[str, ...] = ()  # who may promote, roll back and retire models, such as ["ann"]; empty: everybody
    margin_macro_f1: float = 0.0  # a model is blocked whose macro-F1 is surely less than this above the champion's
    max_ece_rise: float = 0.05  # by which the calibration error may be higher than the champion's, 0..1
    max_latency_rise: float = 1.0  # by which an answer may cost more CPU time, as a share of the champion's
    max_group_recall_drop: float = 0.1  # by which the recall of a class or a source may surely be lower, 0..1


@dataclass(frozen=True, kw_only=True)
class CycleConfig:
    """Continuous training: `emolab cycle`."""

    votes: int = 50  # new, edited or withdrawn votes with which a cycle begins
    push: bool = True  # a cycle sends what it proposes to Label Studio
    drift: bool = True  # a cycle begins when `emolab monitor` has an alarm that no cycle has answered


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """Whether the model at work is still right: `emolab monitor`."""

    every: str = "week"  # a window: day | week
    reference: str = "judged"  # judged: valid, test and holdout | one of these | first: the first window | FROM..TO
    accuracy_drop: float = 0.05  # an estimated accuracy that is surely lower than this below the judged one is an alarm
    audit: int = 100  # samples of an audit, by which it is said how soon a drop would be seen


@dataclass(frozen=True, kw_only=True)
class AlertsConfig:
    """Who is told of an alarm of `emolab monitor`; what is empty is not used."""

    webhook: str = ""  # address that is called; $EMOLAB_ALERT_WEBHOOK comes before it
    webhook_form: str = "full"  # full: text and every figure, as JSON | text: what Slack, Mattermost and the like take
    email_to: tuple[str, ...] = ()  # who gets mail, such as ["ann@example.org"]
    email_from: str = ""  # the sender of it
    smtp: str = ""  # server that takes mail: smtp://USER@HOST; the password is $EMOLAB_SMTP_PASSWORD
    file: str = ""  # file to which a line of JSON is added for each alarm
    repeat_days: float = 7.0  # days after which an alarm that goes on is told again

    def __post_init__(self) -> None:
        if self.webhook:
            check_webhook(self.webhook)
        if self.smtp:
            mail_server(self.smtp)
        for name, box in [("email_from", self.email_from), *(("email_to", box) for box in self.email_to)]:
            if box:
                check_mail_box(box, f"alerts.{name}")


@dataclass(frozen=True, kw_only=True)
class PrivacyConfig:
    """What people must have agreed to."""

    consent_required: bool = False  # leave out samples that no consent was written down for
    take_back: bool = False  # let forgotten samples come again, by collect and merge


@dataclass(frozen=True, kw_only=True)
class Config:
    """All sections."""

    project: ProjectConfig = field(default_factory=ProjectConfig)
    catalog: CatalogConfig = field(default_factory=CatalogConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)
    labeling: LabelingConfig = field(default_factory=LabelingConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    suggest: SuggestConfig = field(default_factory=SuggestConfig)
    inspect: InspectConfig = field(default_factory=InspectConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    operations: OperationsConfig = field(default_factory=OperationsConfig)
    cycle: CycleConfig = field(default_factory=CycleConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Every setting with its value, as plain data; of a web hook's address only what is no secret."""
        plain = asdict(self)
        if self.alerts.webhook:
            plain["alerts"]["webhook"] = web_host(self.alerts.webhook)
        return plain


def load(path: Path, overrides: Iterable[str] = ()) -> Config:
    """The settings of the file at ``path`` with ``overrides`` such as ``training.epochs=3`` on top.

    Raises :class:`ConfigError` for a missing or broken file, an unknown key or a value of the wrong type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no {path}.", hint="Create a workspace with: emolab init") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    config = Config()
    for name, values in content.items():
        if not isinstance(values, Mapping):
            raise ConfigError(f'{path}: "{name}" stands outside of a section.', hint=f"Sections: {_known_sections()}.")
        config = _merge(config, name, values, where=str(path))
    return apply(config, overrides)


def apply(config: Config, overrides: Iterable[str]) -> Config:
    """``config`` with ``section.key=value`` texts applied; values are read as the type of the key."""
    for text in overrides:
        target, equals, value = text.partition("=")
        section, dot, key = target.strip().partition(".")
        if not equals or not dot:
            raise ConfigError(f'"{text}" is not SECTION.KEY=VALUE.', hint="Example: --set training.epochs=3")
        kind = _type_of(config, section, key)
        config = _merge(config, section, {key: _parse(kind, value.strip(), f"{section}.{key}")}, where="--set")
    return config


def _known_sections() -> str:
    return ", ".join(f.name for f in fields(Config))


def _type_of(config: Config, section: str, key: str) -> Any:
    known = {f.name for f in fields(config)}
    if section not in known:
        raise UnknownName("section", section, known)
    hints = typing.get_type_hints(type(getattr(config, section)))
    if key not in hints:
        raise UnknownName("setting", f"{section}.{key}", [f"{section}.{name}" for name in hints])
    return hints[key]


def _merge(config: Config, section: str, values: Mapping[str, Any], *, where: str) -> Config:
    checked = {}
    for key, value in values.items():
        try:
            checked[key] = _coerce(_type_of(config, section, key), value, f"{section}.{key}")
            ranges.check(f"{section}.{key}", checked[key])
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error
        except UnknownName as error:
            error.args = (f"{where}: {error.message}",)
            error.message = f"{where}: {error.message}"
            raise
    return replace(config, **{section: replace(getattr(config, section), **checked)})


def _coerce(kind: Any, value: Any, name: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        inner = [a for a in args if a is not type(None)]
        return None if value is None else _coerce(inner[0], value, name)
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_coerce(args[0], item, name) for item in value)
        raise ConfigError(f"{name} is {value!r}; expected a list.")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if name not in _SECRET and isinstance(value, str) and any(ch == "\0" or "\ud800" <= ch <= "\udfff" for ch in value):
        raise ConfigError(f"{name} is {value!r}; expected text.")
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    if name in _SECRET:
        raise ConfigError(f"{name} is of another kind; expected {_NAMES[kind]}.")
    raise ConfigError(f"{name} is {value!r}; expected {_NAMES[kind]}.")


#: Settings whose value may hold a secret, which no message repeats.
_SECRET = ("alerts.webhook", "alerts.smtp")
_NAMES: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _parse(kind: Any, text: str, name: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        inner = [a for a in args if a is not type(None)]
        return None if text in ("", "none") else _parse(inner[0], text, name)
    if origin is tuple:
        return tuple(_parse(args[0], part.strip(), name) for part in text.split(","))
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ConfigError(f'{name} is "{text}"; expected true or false.')
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f'{name} is "{text}"; expected {_NAMES[kind]}.') from None


def render(project: ProjectConfig, settings: Mapping[str, str] | None = None) -> str:
    """The text of a new ``emolab.toml``: what was chosen, further ``settings`` by name, and where to find the rest."""
    classes = ", ".join(_quoted(name) for name in project.classes)
    return (
        "# Settings of this emolab workspace. Every other setting has a default: see docs/configuration.md.\n\n"
        f"[project]\nname = {_quoted(project.name)}\nclasses = [{classes}]\nmodality = {_quoted(project.modality)}\n"
        + "".join(_section(name, value) for name, value in (settings or {}).items())
    )


def _section(setting: str, value: str) -> str:
    section, _, key = setting.partition(".")
    return f"\n[{section}]\n{key} = {_quoted(value)}\n"


def _quoted(text: str) -> str:
    """``text`` as a TOML string. JSON's escapes are TOML's too; of what TOML forbids, it leaves out only DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
