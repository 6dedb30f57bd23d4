"""What masking finds, what it leaves, and that it is idempotent."""

from __future__ import annotations

import pytest

from emolab.modalities.text.masking import mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ann.b@mail.example.org now", "Write to [EMAIL] now"),
        ("ann (at) example (dot) org", "[EMAIL]"),
        ("see https://example.org/a?b=1, please", "see [URL] please"),
        ("see www.example.org", "see [URL]"),
        ("news.example.com has it", "[URL] has it"),
        ("thanks @ann_92 and u/bob-7", "thanks [ACCOUNT] and [ACCOUNT]"),
        ("I live at 12 Baker Street.", "I live at [ADDRESS]"),
        ("at 221b Old Mill Rd, Apt 4", "at [ADDRESS]"),
        ("Lindenstraße 7 in Köln", "[ADDRESS] in Köln"),
        ("12, rue de la Paix", "[ADDRESS]"),
        ("Calle de Alcalá 45", "[ADDRESS]"),
        ("SW1A 1AA is near", "[ADDRESS] is near"),
        ("call +44 20 7946 0958!", "call [PHONE]!"),
        ("call (555) 123-4567", "call [PHONE]"),
        ("born 12/03/1990", "born [NUMBER]"),
        ("from 1994-1998", "from [NUMBER]"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [NUMBER]"),
        ("room 404", "room [NUMBER]"),
        ("Dr. Okonkwo-Smith was kind", "Dr. [NAME] was kind"),
        ("my name is Xandra Quill", "my name is [NAME]"),
        ("Sarah, Mike and Priya Nair came", "[NAME], [NAME] and [NAME] came"),
        ("Sarah's dog", "[NAME]'s dog"),
        ("Joy Miller and Will Brown", "[NAME] and [NAME]"),
        ("JOHN SMITH is angry", "[NAME] is angry"),
        ("THOMAS WAS HERE", "[NAME] WAS HERE"),
        ("MR SMITH and Dr. JONES", "MR [NAME] and Dr. [NAME]"),
        ("mr smith left", "mr [NAME] left"),
        ("thanks mr. Manuel Sanchez, frau Schmidt", "thanks mr. [NAME], frau [NAME]"),
        ("mein name ist Annegret Okoye", "mein name ist [NAME]"),
        ("Mr. de la Cruz and Dr. van der Berg", "Mr. [NAME] and Dr. [NAME]"),
        ("Maria de la Cruz met Ludwig van der Rohe", "[NAME] met [NAME]"),
        ("my name is zbigniew", "my name is [NAME]"),
        ("ich heiße annegret", "ich heiße [NAME]"),
        ("i live at 12 baker street", "i live at [ADDRESS]"),
        ("12 BAKER STREET, 5 old park rd", "[ADDRESS], [ADDRESS]"),
        ("hauptstraße 5 in berlin", "[ADDRESS] in berlin"),
        ("12 Rue de la Paix and 3 rue des lilas", "[ADDRESS] and [ADDRESS]"),
        ("vivo en la calle Mayor 3", "vivo en la [ADDRESS]"),
        ("avenida de la Constitución, 14", "[ADDRESS]"),
        ("nw1 6xe or NW16XE", "[ADDRESS] or [ADDRESS]"),
        ("po box 12", "[ADDRESS]"),
        ("see bit.ly/abc", "see [URL]"),
        ("ANN(AT)EXAMPLE(DOT)ORG", "[EMAIL]"),
        ("ann dot bee at example dot com", "[EMAIL]"),
    ],
)
def test_what_is_found(text: str, masked: str) -> None:
    assert mask(text)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        "What a joy, I hope you will be frank.",
        "Joy and hope! Will we?",
        "I am 25 and gave it 9/10.",
        "May I mark this?",
        "I'm Sad today.",
        "[NAME] said so to [RELIGION]",
        "it costs 5 :)",
        "2 miles down the road, 5 minutes on the street",
        "a 4 lane road and 2 dark street corners",
        "THE USA AND NASA ARE HERE, MARK MY WORDS",
        "a TED talk by the big LEO; TL;DR No",
        "my name is not here, mr and mrs were",
        "en la calle con 3 amigos",
        "and/or, e.g./i.e., at 1st a1 3rd",
        "plain words only",
    ],
)
def test_what_is_left_as_it_is(text: str) -> None:
    masked, found = mask(text)
    assert masked == text
    assert not found


def test_what_it_does_not_find_is_known() -> None:
    """The limits that docs/text.md states: rules and lists, so unlisted and small names stay."""
    for text in ("Zyltharra was kind", "sarah was kind", "she lives near the old mill", "call five five five one two"):
        assert mask(text)[0] == text


def test_kinds_are_counted_and_masking_again_changes_nothing() -> None:
    masked, found = mask("Sarah and Mike, 555 123 4567, room 404, sarah@example.org")
    assert dict(found) == {"EMAIL": 1, "PHONE": 1, "NUMBER": 1, "NAME": 2}
    assert mask(masked)[0] == masked


def test_a_long_line_of_one_sign_takes_time_in_proportion() -> None:
    """No rule goes back over what it has read more and more often: ten times the text, far from a hundred times."""
    import time

    def cost(text: str) -> float:
        began = time.process_time()
        mask(text)
        return time.process_time() - began

    for sign in ("a.", "Aa ", "1 ", "1-", "A1 ", "a-", "Mr ", "1 a ", "AA ", "van ", "a dot ", "a at ", "my name is "):
        short, long = cost(sign * 200), cost(sign * 1000)
        assert long < 60 * max(short, 1e-3), sign
