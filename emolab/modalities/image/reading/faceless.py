"""Why an image that opens well may still show no face."""

from __future__ import annotations

from collections.abc import Sequence

#: Below this many pixels on the shorter side a face shows too little: at 16 face48 is right about two thirds (docs).
SMALL = 24
#: Beyond this ratio of the longer side to the shorter one, three quarters of what a network sees are padding.
LONG = 4
#: With fewer levels than this between its darkest and lightest pixel an image is as good as one colour.
FLAT = 8
#: An image without a level above this is as good as black. 12 bits taken as 16 end at 15.
DARK = 16


def doubts(size: tuple[int, int], extrema: Sequence[tuple[float, float]]) -> list[str]:
    """Why an image of ``size`` (width, height) can tell little, each in a few words.

    ``extrema`` are the lowest and highest level (0..255) of each of its channels, maybe of a smaller version.
    """
    shorter, longer = sorted(size)
    found = []
    if longer > LONG * shorter:
        found.append(f"{size[0]:,} x {size[1]:,} pixels is a strip, mostly padding to the network")
    elif shorter < SMALL:
        found.append(f"only {size[0]} x {size[1]} pixels, too few to show a face")
    if max(high - low for low, high in extrema) < FLAT:
        found.append("all of one colour")
    elif max(high for _, high in extrema) < DARK:
        found.append("nearly black")
    return found
