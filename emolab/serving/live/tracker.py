"""Who is who from frame to frame: boxes become tracks with a number that stays.

1. Every track is moved on with its speed to the time of the new frame.
2. Tracks and new boxes are paired so that the sum of distances is least (see :mod:`emolab.serving.live.assignment`);
   what is too far apart or of another size is no pair.
3. A box without a track begins one, which counts from its second box on. A track without a box goes on unseen for a
   while: a face behind another one comes out again with its number.

After Bewley et al. (2016), "Simple online and realtime tracking", with speeds instead of a Kalman filter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emolab.serving.live.assignment import NEVER, assign

#: (x, y, width, height) in pixels.
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class TrackRules:
    """``hits``: boxes after which a track counts. A track ends when it had no box for more than ``misses`` looks and
    more than ``lost`` seconds. ``reach``: how far apart, in face sizes, a track and its next box may be; ``memory``:
    seconds over which speed is averaged.
    """

    hits: int = 2
    misses: int = 2
    lost: float = 1.5
    reach: float = 0.8
    memory: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Track:
    """One face over time. ``box`` is where it was last seen, at ``seen`` seconds, or is believed to be at ``seconds``.

    ``velocity``: of its centre, in pixels a second. ``misses`` counts looks without it since. ``source`` is the place
    of its box among those of the last look, ``None`` where there is none.
    """

    id: int
    box: Box
    seconds: float
    seen: float
    velocity: tuple[float, float] = (0.0, 0.0)
    hits: int = 1
    misses: int = 0
    source: int | None = None

    def at(self, seconds: float) -> Track:
        """The track moved on, with its speed, to a later time."""
        passed = seconds - self.seconds
        x, y, w, h = self.box
        box = (x + self.velocity[0] * passed, y + self.velocity[1] * passed, w, h)
        return replace(self, box=box, seconds=seconds)


class Tracker:
    """The tracks of one stream of frames; not for several threads at once."""

    def __init__(self, rules: TrackRules | None = None) -> None:
        self.rules = rules or TrackRules()
        self._tracks: list[Track] = []
        self._next = 1

    def update(self, seconds: float, boxes: Sequence[Box]) -> list[Track]:
        """The tracks that have one of ``boxes``, found in a look at ``seconds``, and count; by id."""
        moved = [track.at(seconds) for track in self._tracks]
        costs = [[_cost(track.box, box, self._reach(track)) for box in boxes] for track in moved]
        paired = dict(assign(costs))
        kept = [
            self._hit(old, track, seconds, boxes[paired[i]], paired[i])
            if i in paired
            else replace(track, misses=track.misses + 1, source=None)
            for i, (old, track) in enumerate(zip(self._tracks, moved, strict=True))
        ]
        new = [place for place in range(len(boxes)) if place not in set(paired.values())]
        for place in new:
            kept.append(Track(id=0, box=boxes[place], seconds=seconds, seen=seconds, source=place))
        self._tracks = [self._numbered(track) for track in kept if self._lives(track)]
        return self._shown()

    def at(self, seconds: float) -> list[Track]:
        """Where the tracks of the last look are believed to be at a later time; by id."""
        return [track.at(seconds) for track in self._shown()]

    def clear(self) -> None:
        """End all tracks: the picture was cut. Numbers are not given again."""
        self._tracks = []

    @property
    def alive(self) -> frozenset[int]:
        """The ids of all tracks that count and have not ended, seen in the last look or not."""
        return frozenset(track.id for track in self._tracks if track.id)

    def _shown(self) -> list[Track]:
        return sorted((t for t in self._tracks if t.id and not t.misses), key=lambda track: track.id)

    def _reach(self, track: Track) -> float:
        """A track that was not seen for a while may be farther away."""
        return self.rules.reach * (1 + min(track.misses, 3) / 2)

    def _lives(self, track: Track) -> bool:
        if track.hits < self.rules.hits:
            return not track.misses
        return track.misses <= self.rules.misses or track.seconds - track.seen <= self.rules.lost

    def _numbered(self, track: Track) -> Track:
        if track.id or track.hits < self.rules.hits:
            return track
        self._next += 1
        return replace(track, id=self._next - 1)

    def _hit(self, old: Track, moved: Track, seconds: float, box: Box, place: int) -> Track:
        """``moved`` with the box that it has now; its speed follows what it did since it was last seen."""
        passed = seconds - old.seen
        speed = moved.velocity
        if passed > 0:
            (cx, cy), (ox, oy) = _centre(box), _centre(old.box)
            since = old.seconds - old.seen  # while it was not seen, its box went on with its speed
            ox, oy = ox - old.velocity[0] * since, oy - old.velocity[1] * since
            share = 1.0 if old.hits == 1 else 1 - math.exp(-passed / self.rules.memory)
            now = ((cx - ox) / passed, (cy - oy) / passed)
            speed = (speed[0] + share * (now[0] - speed[0]), speed[1] + share * (now[1] - speed[1]))
        return replace(
            moved, box=box, seen=seconds, seconds=seconds, velocity=speed, hits=moved.hits + 1, misses=0, source=place
        )


def overlap(a: Box, b: Box) -> float:
    """The area that two boxes share, as a share of what they cover together.

    >>> overlap((0, 0, 2, 2), (0, 0, 2, 2)), overlap((0, 0, 2, 2), (1, 0, 2, 2)), overlap((0, 0, 1, 1), (5, 5, 1, 1))
    (1.0, 0.3333333333333333, 0.0)
    """
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    return both / (a[2] * a[3] + b[2] * b[3] - both) if both else 0.0


def _cost(track: Box, box: Box, reach: float) -> float:
    """Distance in face sizes, difference in size, and what does not overlap; :data:`NEVER` beyond ``reach``."""
    (ax, ay), (bx, by) = _centre(track), _centre(box)
    size = (track[2] + track[3] + box[2] + box[3]) / 4
    if size <= 0:
        return NEVER
    apart = math.hypot(ax - bx, ay - by) / size
    grown = abs(math.log(max(box[2] + box[3], 1e-6) / max(track[2] + track[3], 1e-6)))
    if apart > reach or grown > math.log(2):
        return NEVER
    return apart + grown + 0.5 * (1 - overlap(track, box))


def _centre(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2
