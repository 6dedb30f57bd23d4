"""The ledger of inputs that became samples, opened by several at once."""

from __future__ import annotations

import threading
from pathlib import Path

from emolab.datasets.collect.input_ledger import InputLedger
from emolab.modalities.intake import IngestOptions

SAMPLE = "00" * 32


def test_several_may_make_the_ledger_at_the_same_moment(tmp_path: Path) -> None:
    troubles: list[Exception] = []

    def use(file: Path, number: int, together: threading.Barrier) -> None:
        together.wait()
        try:
            with InputLedger(file, settings="faces") as ledger:
                ledger.add([(f"photo {number}", [SAMPLE])])
        except Exception as trouble:
            troubles.append(trouble)

    for attempt in range(25):
        file, together = tmp_path / f"{attempt}.db", threading.Barrier(4)
        threads = [threading.Thread(target=use, args=(file, number, together)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with InputLedger(file, settings="faces") as ledger:
            assert ledger.find([f"photo {number}" for number in range(4)]) == [(SAMPLE,)] * 4
    assert troubles == []


def test_the_options_have_the_name_that_ledgers_of_earlier_releases_know() -> None:
    assert IngestOptions(faces="off").ledger_key() == (
        "Options(faces='off', detector='', min_score=0.6, detect_size=640, detect_again=12000000, min_face=32, "
        "margin=0.25, tight=100, max_pixels=100000000, max_bytes=536870912, dry_run=False)"
    )
