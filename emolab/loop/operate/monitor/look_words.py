"""A look in words, the same at the terminal, in a notebook, on the page and in an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.loop.operate.monitor.look_record import LookAudit, LookRecord

#: What detectors are called where people read.
_NAMES = {"domain_classifier": "embeddings, by a classifier", "embedding_mmd": "embeddings, by MMD"}


def named(detector: str) -> str:
    """What ``detector`` looks at, in words."""
    return _NAMES.get(detector, detector.replace("_", " "))


def p_words(p: float) -> str:
    """A p-value; what is too small for a number to hold is below it.

    >>> p_words(0.0042), p_words(0.0)
    ('p = 0.004', 'p < 1e-300')
    """
    return f"p = {p:.1g}" if p > 0 else "p < 1e-300"


TEST_COLUMNS = ("what", "windows", "answers", "times chance", "p", "", "what moved")


def test_rows(look: LookRecord, *, each: bool = False) -> list[tuple[str, str, str, str, str, str, str]]:
    """The tests of a look, the surest first; ``each`` detector once, by its surest test."""
    tests = sorted(look.tests, key=lambda test: test.p)
    if each:
        tests = list({test.detector: test for test in reversed(tests)}.values())[::-1]
    return [
        (named(test.detector), str(test.windows), f"{test.n:,}", f"{test.statistic:.2f}",
         f"{test.p:.1g}" if test.p > 0 else "< 1e-300", "alarm" if test.alarm else "", "; ".join(test.moved))
        for test in tests
    ]  # fmt: skip


def audit_words(looks: Sequence[LookRecord], every: str) -> str:
    """What the newest audit found, of which window, and whether the estimate agrees; empty without one."""
    from emolab.loop.operate.monitor.look_record import AUDIT_LEVEL
    from emolab.monitoring.audit import AuditVerdict
    from emolab.monitoring.thresholds import level_of_look
    from emolab.monitoring.windows import LOOKS

    look = next((look for look in reversed(looks) if look.audit is not None), None)
    if look is None or look.audit is None:
        return ""
    audit = look.audit
    found = f"{audit.accuracy:.1%} ({audit.low:.1%} to {audit.high:.1%}) in {look.window.name}, {label_words(audit)}"
    if audit.difference is None or audit.p is None:
        return f"{found}."
    verdict = AuditVerdict(difference=audit.difference, p=audit.p)
    return f"{found}. {verdict.words(level_of_look(AUDIT_LEVEL, LOOKS[every]))}"


def label_words(audit: LookAudit) -> str:
    """How many labels an audit rests on, and how many samples it says nothing about.

    >>> from emolab.loop.operate.monitor.look_record import LookAudit
    >>> label_words(LookAudit(accuracy=0.9, low=0.8, high=0.95, n=92, difference=None, p=None, unlabelled=8))
    '92 labels; 8 more got none (skipped or unusable)'
    """
    rest = f"; {audit.unlabelled:,} more got none (skipped or unusable)" if audit.unlabelled else ""
    return f"{many(audit.n, 'label')}{rest}"


def estimate_words(look: LookRecord | None, judged: float | None) -> str:
    """The estimated accuracy of a look with its interval, beside the judged one; empty without one."""
    if look is None or look.estimate is None:
        return ""
    known = "" if judged is None else f"; {judged:.1%} when judged"
    return f"{look.estimate.accuracy:.1%} ({look.estimate.low:.1%} to {look.estimate.high:.1%}){known}"
