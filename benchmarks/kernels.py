"""Which kernels NumPy's and torch's linear algebra picks here, and whether forcing others would be quicker.

Every setting is an environment variable that has to stand before the libraries are loaded, so each is tried in
processes of their own, in turns, with one thread. The figures are operations per CPU second of a product of two
single-precision matrices of 1,200 x 1,200 (OpenBLAS in NumPy, MKL or whatever torch was built with) and of a
convolution (oneDNN).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.harness import Result, main, summary

SIDE = 1_200
#: A convolution of a small face network: images, channels in and out, pixels per side, kernel.
IMAGES, CHANNELS, PIXELS, KERNEL = 64, 64, 24, 3
NUMPY, TORCH = "NumPy product", ("torch product", "torch convolution")
AS_IT_IS = "as it is"
#: What is set of these already is left out, so that "as it is" means the libraries' own choice.
LIBRARIES = ("OPENBLAS_", "MKL_", "ONEDNN_", "DNNL_")
#: What people set: the kernels of a named family of processors.
SETTINGS = {
    "numpy": ("OPENBLAS_CORETYPE=Haswell", "OPENBLAS_CORETYPE=SkylakeX", "OPENBLAS_CORETYPE=Zen"),
    "torch": ("MKL_ENABLE_INSTRUCTIONS=AVX512", "MKL_CBWR=AVX2", "ONEDNN_MAX_CPU_ISA=AVX2"),
}


def run(quick: bool) -> list[Result]:
    """Operations per CPU second under every setting, and the ratio to none."""
    repeats = 3 if quick else 7
    results = []
    for library, settings in SETTINGS.items():
        seen: dict[str, list[dict[str, float]]] = {setting: [] for setting in (AS_IT_IS, *settings)}
        for _ in range(repeats):
            for setting, found in seen.items():
                found.append(_measured(library, setting))
        for setting, found in seen.items():
            for work in found[0]:
                values = [one[work] for one in found]
                against = [one[work] / plain[work] for one, plain in zip(found, seen[AS_IT_IS], strict=True)]
                middle, spread = summary(values)
                note = "" if setting == AS_IT_IS else f"{statistics.median(against):.2f} times as it is"
                name = f"{work}, {setting}"
                results.append(Result(name, middle, "G operations/CPU-s", seeds=repeats, spread=spread, note=note))
    return results


def _measured(library: str, setting: str) -> dict[str, float]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(LIBRARIES)}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    chosen = {} if setting == AS_IT_IS else dict([setting.split("=")])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels", library],
        env={**plain, **one, **chosen},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{setting}: the process ended with status {done.returncode}.\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _child(library: str) -> dict[str, float]:
    product = 2.0 * SIDE**3
    if library == "numpy":
        import numpy as np

        a = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
        return {NUMPY: _speed(product, lambda: a @ a)}
    import torch

    torch.set_num_threads(1)
    b = torch.rand(SIDE, SIDE)
    images = torch.rand(IMAGES, CHANNELS, PIXELS, PIXELS).to(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=KERNEL // 2, bias=False)
    layer = layer.to(memory_format=torch.channels_last)
    work = 2.0 * IMAGES * PIXELS**2 * CHANNELS**2 * KERNEL**2
    with torch.inference_mode():
        return {TORCH[0]: _speed(product, lambda: b @ b), TORCH[1]: _speed(work, lambda: layer(images))}


def _speed(operations: float, call: Callable[[], object]) -> float:
    call()
    taken = []
    for _ in range(7):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return operations / min(taken) / 1e9


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in SETTINGS:
        print(json.dumps(_child(sys.argv[1])))
    else:
        main(run)
