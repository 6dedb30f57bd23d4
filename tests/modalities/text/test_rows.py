"""Sentences are read from TXT, CSV and JSON Lines; what cannot be read is said, row by row."""

from __future__ import annotations

import pytest

from emolab.modalities.problems import Problem, Refused
from emolab.modalities.text.rows import TextRow, text_rows


def read(text: str, name: str, column: str | None = None) -> list[TextRow | Problem]:
    return list(text_rows(text.encode(), name, column=column))


def test_each_line_of_txt_is_a_sentence_and_blank_ones_are_passed_over() -> None:
    rows = read("So good.\r\n\r\n  Too bad. \nNo end", "a.txt")
    assert rows == [TextRow(1, "So good."), TextRow(3, "  Too bad. "), TextRow(4, "No end")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_is_read_with_any_usual_delimiter(delimiter: str) -> None:
    table = delimiter.join(("id", "Text", "speaker")) + "\n" + delimiter.join(("1", '"So, so; good"', "ann")) + "\n"
    assert read(table, "a.csv") == [TextRow(1, "So, so; good", "ann")]


@pytest.mark.parametrize("column", ["author", "user", "Speaker ID", "user-name", "person", "dialogue_id"])
def test_sentences_of_one_author_are_one_group_whatever_the_column_is_called(column: str) -> None:
    assert read(f"text,{column}\nfine,ann\n", "a.csv") == [TextRow(1, "fine", "ann")]
    assert read(f'{{"{column}": "ann", "text": "fine"}}\n', "a.jsonl") == [TextRow(1, "fine", "ann")]
    assert read(f"{column},speaker,text\nann,bob,fine\n", "a.csv") == [TextRow(1, "fine", "bob")]


def test_a_cell_may_hold_a_line_break_and_quotes() -> None:
    assert read('text\n"one\ntwo ""three"""\n', "a.csv") == [TextRow(1, 'one\ntwo "three"')]


def test_rows_of_csv_that_cannot_be_read_are_problems_and_the_others_go_on() -> None:
    rows = read("text,group\ngood,a\nbad\n,b\nfine,\n", "a.csv")
    assert [row for row in rows if isinstance(row, TextRow)] == [TextRow(1, "good", "a"), TextRow(4, "fine")]
    assert [str(row) for row in rows if isinstance(row, Problem)] == [
        "a.csv#2: broken row: 1 columns, expected 2",
        "a.csv#3: empty: no letter or sign in it",
    ]


def test_another_column_can_be_named() -> None:
    assert read("text,said\nno,yes\n", "a.csv", "Said") == [TextRow(1, "yes")]


def test_a_table_without_such_a_column_is_refused_with_the_columns_it_has() -> None:
    with pytest.raises(Refused, match="expected a column or key called one of text, sentence") as raised:
        read("id,opinion\n1,good\n", "a.csv")
    assert raised.value.kind == "no sentences"
    assert "its columns are id, opinion" in raised.value.message
    with pytest.raises(Refused, match='called "said"'):
        read("text\ngood\n", "a.csv", "said")


def test_json_lines_are_read_and_bad_ones_are_problems() -> None:
    lines = '{"text": "good", "speaker": 7}\n\nnot json\n[1]\n{"text": 5}\n{"text": " "}\n{"transcript": "fine"}\n'
    rows = read(lines, "a.jsonl")
    assert [row for row in rows if isinstance(row, TextRow)] == [TextRow(1, "good", "7"), TextRow(7, "fine")]
    assert [(row.path, row.kind) for row in rows if isinstance(row, Problem)] == [
        ("a.jsonl#3", "broken row"),
        ("a.jsonl#4", "broken row"),
        ("a.jsonl#5", "broken row"),
        ("a.jsonl#6", "empty"),
    ]


def test_json_lines_without_any_sentence_are_refused() -> None:
    with pytest.raises(Refused, match="none of its 2 lines has one; line 1: its keys are a, b"):
        read('{"a": 1, "b": 2}\n{"c": 1}\n', "a.jsonl")


def test_numbers_too_long_for_python_are_a_problem_of_their_line() -> None:
    rows = read('{"text": "good"}\n{"text": ' + "9" * 5000 + "}\n", "a.jsonl")
    assert [type(row).__name__ for row in rows] == ["TextRow", "Problem"]
