"""alibi-detect over streams, in an environment of its own: python peer_alibi.py IN.npz OUT.npz"""

# mypy: ignore-errors

import sys

import numpy as np
from alibi_detect.cd import KSDrift, MMDDrift
from peer_streams import answer


def main(given: str, out: str) -> None:
    """Figures of KSDrift on confidence, probabilities and quality, and of MMDDrift on embeddings."""
    held = np.load(given)
    probs, embeddings = held["probs"], held["embeddings"]
    columns = np.concatenate([probs.max(axis=1, keepdims=True), probs, held["quality"]], axis=1).astype(np.float32)

    def ks(rows, windows):
        detector = KSDrift(columns[rows], p_val=0.05)
        for seen in windows:
            yield -np.log(max(1e-300, detector.predict(columns[seen])["data"]["p_val"].min()))

    def mmd(rows, windows):
        detector = MMDDrift(embeddings[rows], backend="tensorflow", n_permutations=1)
        for seen in windows:
            yield detector.predict(embeddings[seen])["data"]["distance"]

    answer(held, out, {"alibi-detect KSDrift": ks, "alibi-detect MMDDrift": mmd})


if __name__ == "__main__":
    main(*sys.argv[1:])
