"""Which old thing is which new one: the pairing of rows and columns whose costs sum to the least.

Kuhn (1955), "The Hungarian method for the assignment problem"; in the form with potentials, O(n^2 m). For a few faces
this is quicker than importing SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

#: The cost of a pair that must not be.
NEVER = math.inf
#: What such a pair costs while the rest is computed: more than any sum of costs that are allowed.
_BIG = 1e9


def assign(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column), by row: as many allowed ones as there can be, and of those the cheapest.

    ``costs`` has rows of equal length; a pair of cost :data:`NEVER` is left out. Allowed costs lie within +-1,000.

    >>> assign([[1.0, 2.0], [1.0, 9.0]]), assign([[NEVER, 3.0]]), assign([])
    ([(0, 1), (1, 0)], [(0, 1)], [])
    """
    if not costs or not costs[0]:
        return []
    if len(costs) > len(costs[0]):
        return sorted((row, column) for column, row in assign([list(line) for line in zip(*costs, strict=True)]))
    rows = [[min(cost, _BIG) for cost in line] for line in costs]
    pairs = enumerate(_columns(rows))
    return [(row, column) for row, column in pairs if costs[row][column] != NEVER]


def _columns(costs: list[list[float]]) -> list[int]:
    """The column of each row, for at least as many columns as rows. Place 0 of every list stands for "none"."""
    n, m = len(costs), len(costs[0])
    of_row, of_column = [0.0] * (n + 1), [0.0] * (m + 1)  # potentials
    taken_by, way = [0] * (m + 1), [0] * (m + 1)
    for row in range(1, n + 1):
        taken_by[0] = row
        here, least, done = 0, [math.inf] * (m + 1), [False] * (m + 1)
        while taken_by[here]:
            done[here] = True
            owner, step, there = taken_by[here], math.inf, 0
            for column in range(1, m + 1):
                if done[column]:
                    continue
                cost = costs[owner - 1][column - 1] - of_row[owner] - of_column[column]
                if cost < least[column]:
                    least[column], way[column] = cost, here
                if least[column] < step:
                    step, there = least[column], column
            for column in range(m + 1):
                if done[column]:
                    of_row[taken_by[column]] += step
                    of_column[column] -= step
                else:
                    least[column] -= step
            here = there
        while here:
            taken_by[here] = taken_by[way[here]]
            here = way[here]
    found = [0] * n
    for column in range(1, m + 1):
        if taken_by[column]:
            found[taken_by[column] - 1] = column - 1
    return found
