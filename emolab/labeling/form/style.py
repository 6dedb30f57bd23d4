"""How the form looks in the browser: face and answers side by side, answers as large buttons, nothing else around.

Label Studio's own panels are for drawn regions, which faces do not have. The names that begin with ``lsf-`` and
``ant-`` are Label Studio's (release 1.23); where another release has others, the form is plain but whole.
"""

from __future__ import annotations

#: The form's own class: everything but the panels is styled below it only.
CLASS = "emolab"
#: Answers up to this many stand in one column beside the face, more of them in two.
ONE_COLUMN = 10
#: Wide enough for a face of 48 pixels to be recognised, not so wide that it dissolves into blocks.
FACE = "28rem"
#: Headings less important than the question.
ASIDE = "font-size: 1rem; font-weight: 400; margin: .9rem 0 .3rem"

_PANELS = (
    ".lsf-sidepanels__wrapper {display: none}",
    ".lsf-sidepanels {padding: 0 !important}",  # room for them, set by script
)
_PAGE = (
    "& .lsf-toolbar {display: none}",
    "& .lsf-choices {display: grid; grid-template-columns: repeat(%d, minmax(0, 1fr)); gap: .4rem .6rem}",
    "& .lsf-choice, & .lsf-choice__item {display: block; margin: 0; padding: 0; width: 100%%}",
    "& .lsf-choice__checkbox {display: flex; align-items: center; width: 100%%; margin: 0; padding: .4rem .75rem;"
    " font-size: 1.05rem; line-height: 1.5; cursor: pointer; border: 1px solid var(--color-neutral-border, #ccc);"
    " border-radius: .4rem; background: var(--color-neutral-background, transparent)}",
    "& .lsf-choice__checkbox:hover {border-color: var(--color-primary-border, #4a5fb0)}",
    "& .ant-radio, & .ant-checkbox {top: 0}",
    "& .ant-radio-wrapper-checked, & .ant-checkbox-wrapper-checked {border-color: var(--color-primary-border, #4a5fb0);"
    " background: var(--color-primary-background, #eef0fb);"
    " box-shadow: inset 0 0 0 1px var(--color-primary-border, #4a5fb0)}",
    "& .lsf-choice__checkbox span:has(.lsf-hint) {display: flex; flex: 1; align-items: center}",
    "& .lsf-hint {margin-left: auto; padding-left: .75rem; position: static; font-size: 1rem;"
    " font-variant-numeric: tabular-nums; color: var(--color-neutral-content-subtler, #666)}",
    # Questions that a team put behind the two columns (style, face, answers): below them, as wide as both. A child
    # combinator would do, but Label Studio does not read the sign in which XML must write it.
    "& style ~ :nth-child(n+4) {flex: 1 0 100%%; max-width: 54.5rem; margin: -.5rem 0 !important}",
)


def css(answers: int) -> str:
    """The style sheet of a form with this many answers, on one line."""
    page = " ".join(_PAGE) % (1 if answers <= ONE_COLUMN else 2)
    return " ".join(_PANELS) + " " + page.replace("&", f".{CLASS}")
