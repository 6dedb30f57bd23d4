"""Eight-bit integers after training: weights per channel, activations by what calibration images show."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import MissingExtra
from emolab.inference.runtime import INPUT

BATCH = 16
#: Rectifiers are named so that a convolution's range is taken behind and not before them: quicker and nearer.
QUANTISED = ("Conv", "Relu", "Clip", "Add", "MaxPool", "GlobalAveragePool")


def quantise(source: Path, file: Path, images: NDArray[np.uint8]) -> None:
    """Write the ONNX file ``source`` with 8-bit integers inside, calibrated on ``images`` (n, size, size, c).

    Weights are symmetric per output channel, activations one range per tensor, the average over batches of the
    smallest and largest value (Jacob et al. 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference"). Pairs of QuantizeLinear and DequantizeLinear are left in the graph, which
    ONNX Runtime and OpenVINO both turn into integer kernels. Normalisation and the last layer stay in float.
    """
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingExtra(str(error.name), "export") from error

    class Batches(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        """``images``, a batch at a time."""

        def __init__(self) -> None:
            self.parts: Iterator[NDArray[np.uint8]] = iter(
                [np.ascontiguousarray(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
            )

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            """The next batch, or ``None``."""
            part = next(self.parts, None)
            return None if part is None else {INPUT: part}

    before = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # the tool reports its steps on the root logger
    prepared = source.with_suffix(".prepared.onnx")
    try:
        quant_pre_process(str(source), str(prepared))
        options: dict[str, Any] = {
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "CalibMovingAverage": True,
        }
        quantize_static(
            str(prepared),
            str(file),
            Batches(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            op_types_to_quantize=list(QUANTISED),
            extra_options=options,
        )
    finally:
        logging.getLogger().setLevel(before)
        prepared.unlink(missing_ok=True)
