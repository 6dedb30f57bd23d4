"""False alarms of a year, delay until planted drifts are seen beside three libraries, and accuracy without labels.

Streams are made of FER+ as face48 sees it and of RAVDESS by computed features; spans, ridge and strength of the changes
were set beforehand and tried on no stream; `delays(half=0)` has the other half of the faces for that. A delay counts
windows from the change on; every method is read at the end of each window, with a threshold that gave an alarm in 5 %
of quiet streams. Needs the test data pack.
evidently, river and alibi-detect (Business Source License 1.1) get environments of their own beside the kept arrays.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks.drifting import material, streams
from benchmarks.drifting.material import Material
from benchmarks.drifting.streams import CHANGED, NOTHING, QUIET, Streams
from benchmarks.harness import Result, main
from emolab.monitoring.drift_look import LEVEL, Watch
from emolab.monitoring.estimation import AccuracyEstimator

WEEKS = 52
#: Reference and week of the quiet years: faces, voices.
YEARS = {"faces": (2000, 200), "voices": (300, 11)}
#: Reference and window of the streams with a drift.
SIZES = {"faces": (1000, 100), "voices": (300, 20)}
EACH, CALIBRATING = 60, 400
DRIFTS = ("new camera", "darker room", "mirrored input", "another compression", "new class", "class-order bug")
PEERS = {
    "alibi": ("peer_alibi.py", ("alibi-detect[tensorflow]>=0.13,<0.14", "tensorflow-cpu<2.19")),
    "rest": ("peer_rest.py", ("evidently>=0.7,<0.8", "river>=0.26,<1", "pandas<3")),
}
DRAWS, DRAWN = 200, 1000
Made = TypeVar("Made")


def run(quick: bool) -> list[Result]:
    """The three parts; the quick form has fewer streams, faces of FER+ valid alone, and no peers."""
    valid = material.faces("Valid", 2000 if quick else None)
    found = false_alarms(valid, quick)
    if not quick:
        found += delays(half=1)
    return [*found, *estimates(valid, quick)]


def headline(results: Sequence[Result]) -> dict[str, object]:
    """The figures that a script asks for, by their keys."""
    rates = {one.name: one.value / 100 for one in results if one.name.startswith("false alarms")}
    errors = {one.name: one.value for one in results if one.name.startswith("estimated accuracy")}
    delay = next((one.value for one in results if one.name == "delay beside the best peer, median of the drifts"), None)
    keys: dict[str, object] = {
        "false_alarm_rate": max(rates.values()),
        "delay_vs_best_peer": delay,
        "estimate_error": next(iter(errors.values())),
        "false_alarm_rates": rates,
        "estimate_errors": errors,
    }
    if delay is None:
        keys["delay_vs_best_peer_reason"] = "The quick form leaves the peers out: evidently, alibi-detect, river."
    return keys


# -- false alarms ------------------------------------------------------------------------------------------------------


def false_alarms(valid: Material, quick: bool) -> list[Result]:
    """The share of quiet years with an alarm; a year is drawn without putting anything back."""
    cases: list[tuple[str, Material, tuple[int, int], int]] = []
    if quick:
        cases.append(("FER+ valid, 32 faces a week", valid, (330, 32), 24))
    else:
        everything = material.faces("Train", None)
        cases.append(("FER+, 200 faces a week", everything, YEARS["faces"], 1000))
        cases.append(("RAVDESS, 11 clips a week", material.voices(), YEARS["voices"], 1000))
    found = []
    for name, given, (reference, week), count in cases:
        alarms = sum(shared(partial(quiet_year, given, reference, week), range(count)))
        allowed = binom.interval(0.95, count, LEVEL)
        note = (
            f"level {LEVEL:.0%}; by chance {allowed[0] / count:.1%} to {allowed[1] / count:.1%} where it is all spent"
        )
        found.append(Result(f"false alarms in a year, {name}", 100 * alarms / count, "%", n=count, note=note))
    return found


def quiet_year(given: Material, reference: int, week: int, seed: int) -> bool:
    """Whether a year in which nothing happens has an alarm."""
    rows = np.random.default_rng((seed, 5)).permutation(len(given))
    watch = Watch(given.seen(rows[:reference]))
    weeks = [given.seen(rows[reference + i * week : reference + (i + 1) * week]) for i in range(WEEKS)]
    return any(watch.look(weeks[: i + 1]).alarms for i in range(WEEKS))


def shared(work: Callable[[int], Made], items: Iterable[int]) -> list[Made]:
    """``work`` of every item, on all cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items, chunksize=4))


# -- delays ------------------------------------------------------------------------------------------------------------


def delays(*, half: int) -> list[Result]:
    """Windows until a planted drift is seen, beside the best peer on the same streams."""
    faces = streams.with_order_bug(material.faces("Train", material.DRIFTING, changed=True))
    voices = material.voices()
    n, m = SIZES["faces"]
    planted = streams.of_faces(
        faces, {NOTHING: CALIBRATING, **dict.fromkeys(DRIFTS, EACH)}, half=half, seed=1, reference=n, window=m
    )
    n, m = SIZES["voices"]
    spoken = streams.of_voices(voices, {NOTHING: CALIBRATING, "other people": EACH}, seed=2, reference=n, window=m)
    found: list[Result] = []
    for given, made in ((faces, planted), (voices, spoken)):
        figures = {"emolab": ours(given, made), **peers(given, made)}
        found += [
            row for drift in dict.fromkeys(made.drift) if drift != NOTHING for row in compared(drift, made, figures)
        ]
    ratios = [one.value for one in found if one.name.startswith("delay beside the best peer")]
    overall = "delay beside the best peer, median of the drifts"
    spread = (min(ratios), max(ratios))
    return [*found, Result(overall, float(np.median(ratios)), "ratio", n=len(ratios) * EACH, spread=spread)]


def compared(drift: str, made: Streams, figures: dict[str, NDArray[np.float64]]) -> list[Result]:
    """The mean delay of each method at one drift, and the ratio to the best peer."""
    waits = {name: delay(values, made.drift, drift) for name, values in figures.items()}
    rows = [
        Result(f"{drift}: {name}", float(wait.mean()), "windows", n=len(wait), spread=(wait.min(), wait.max()))
        for name, wait in waits.items()
    ]
    best = min((name for name in waits if name != "emolab"), key=lambda name: waits[name].mean())
    ratio = float(waits["emolab"].mean() / waits[best].mean())
    never = f"; {np.mean(waits['emolab'] > CHANGED):.0%} not seen" if (waits["emolab"] > CHANGED).any() else ""
    return [*rows, Result(f"delay beside the best peer, {drift}", ratio, "ratio", n=EACH, note=f"{best}{never}")]


def delay(values: NDArray[np.float64], names: Sequence[str], drift: str) -> NDArray[np.float64]:
    """Windows (s,) from the change on until a figure passes the threshold; one more than there are: never.

    The threshold is passed in LEVEL of the quiet streams. An alarm before the change is no sight of it.
    """
    quiet = np.array([name == NOTHING for name in names])
    threshold = np.quantile(values[quiet].max(axis=1), 1 - LEVEL, method="higher")
    seen = values[np.array([name == drift for name in names])][:, QUIET:] > threshold
    return np.where(seen.any(axis=1), seen.argmax(axis=1) + 1.0, CHANGED + 1.0)


def ours(given: Material, made: Streams) -> NDArray[np.float64]:
    """How surely the surest test of each look speaks (s, w)."""
    return np.stack(shared(partial(_ours, given, made), range(len(made.drift))))


def _ours(given: Material, made: Streams, s: int) -> NDArray[np.float64]:
    watch = Watch(given.seen(made.reference[s]))
    seen = [given.seen(rows) for rows in made.windows[s]]
    looks = [watch.look(seen[: i + 1]) for i in range(len(seen))]
    surest = [min((test.p for test in look.tests), default=1.0) for look in looks]  # a few clips are not tested alone
    return -np.log(np.maximum(surest, 1e-300))


def peers(given: Material, made: Streams) -> dict[str, NDArray[np.float64]]:
    """The figures of each method of the peers, which run beside each other; of the same streams they are kept."""
    folder = material.kept_in()
    arrays = {
        "probs": given.probs, "embeddings": given.embeddings, "quality": given.quality,
        "reference": made.reference, "windows": made.windows,
    }  # fmt: skip
    bounds = {"quiet": CALIBRATING, "before": QUIET, "level": LEVEL}
    told = hashlib.sha256(repr((made.drift, bounds)).encode())
    for array in arrays.values():
        told.update(np.ascontiguousarray(array).tobytes())
    file = folder / f"streams_{told.hexdigest()[:12]}.npz"
    np.savez(file, **arrays, **bounds)  # type: ignore[arg-type]

    def answer(peer: str) -> dict[str, NDArray[np.float64]]:
        script = Path(__file__).parent / "drifting" / PEERS[peer][0]
        asked = repr((file.name, PEERS[peer], script.read_bytes()))
        out = folder / f"{peer}_{hashlib.sha256(asked.encode()).hexdigest()[:12]}.npz"
        if out.exists():
            return dict(np.load(out))
        python, part = environment(peer), out.with_suffix(".part.npz")
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        with (folder / f"{peer}.log").open("w") as log:
            subprocess.run([python, script, file, part], check=True, stderr=log, stdout=log, env=quiet)
        part.replace(out)
        return dict(np.load(out))

    with ThreadPoolExecutor(len(PEERS)) as pool:
        return {name: values for answered in pool.map(answer, PEERS) for name, values in answered.items()}


def environment(peer: str) -> Path:
    """The interpreter of a peer's environment, made where there is none yet."""
    folder = material.kept_in() / peer
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "uv", "venv", "-q", "--clear", folder], check=True)
        install: list[str | Path] = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "-q",
            "--python",
            python,
            *PEERS[peer][1],
        ]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return python


# -- estimated accuracy ------------------------------------------------------------------------------------------------


def estimates(valid: Material, quick: bool) -> list[Result]:
    """The mean error of the estimated accuracy of faces nobody has labelled, as they were judged and otherwise."""
    rows = np.flatnonzero(valid.truth >= 0)
    draws, drawn = (40, 400) if quick else (DRAWS, DRAWN)
    found = []
    for name, shifted in (("as judged", False), ("under a covariate shift", True)):
        rng = np.random.default_rng(11)
        errors, plain = [], []
        for _ in range(draws):
            order = rng.permutation(rows)
            judged, rest = order[: len(order) // 2], order[len(order) // 2 :]
            seen = rest[:drawn] if not shifted else rng.choice(rest, drawn, p=tilt(valid, rest, rng))
            estimator = AccuracyEstimator(valid.seen(judged), valid.truth[judged])
            true = float((valid.probs[seen].argmax(axis=1) == valid.truth[seen]).mean())
            before = float((valid.probs[judged].argmax(axis=1) == valid.truth[judged]).mean())
            errors.append(100 * abs(estimator.estimate(valid.seen(seen)).accuracy - true))
            plain.append(100 * abs(before - true))
        note = f"taking the judged accuracy itself: {np.mean(plain):.2f}"
        found.append(
            Result(
                f"estimated accuracy, mean error, {name}", float(np.mean(errors)), "points",
                n=drawn, seeds=draws, spread=(min(errors), max(errors)), note=note,
            )
        )  # fmt: skip
    return found


def tilt(valid: Material, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Chances (n,) of the rows that favour one side of a random direction, e-fold a standard deviation."""
    embeddings = valid.embeddings[rows] - valid.embeddings[rows].mean(axis=0)
    _, _, axes = np.linalg.svd(embeddings, full_matrices=False)
    placed = embeddings @ axes[:8].T
    placed = np.concatenate([placed, valid.quality[rows]], axis=1)
    placed = (placed - placed.mean(axis=0)) / placed.std(axis=0)
    direction = rng.standard_normal(placed.shape[1])
    score = placed @ direction
    odds = np.exp(np.clip(score / score.std(), -3, 3))
    return np.asarray(odds / odds.sum(), dtype=np.float64)


if __name__ == "__main__":
    main(run, headline=headline)
