"""How the test processes share the files of tests."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]
    """One process runs the tests of a file. A process that dies takes one test with it: another one runs the rest.

    xdist (3.8) hands out the files of a dead process whole, also those that were finished. The next process then waits
    for the end of a file of which nothing is left to do, for ever.
    """

    def remove_node(self, node: Any) -> str | None:
        """Take ``node`` out; the test at which it died, which is not tried again, or ``None`` where none was left."""
        files = self.assigned_work.pop(node)
        left = [(tests, test) for tests in files.values() for test, done in tests.items() if not done]
        if not left:
            return None
        tests, died = left[0]
        tests[died] = True
        self.workqueue.update({file: tests for file, tests in files.items() if not all(tests.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return died
