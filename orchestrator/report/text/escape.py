"""Text made harmless for Markdown, LaTeX and CSV, whatever is in it."""

from __future__ import annotations

import re

from orchestrator.jobs.visible import visible

# An underscore within a word marks nothing, and a bracket only what a link could follow.
_MARKDOWN = re.compile(r"[\\`*<|#~$&]|\](?=[(\[:])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after \\ a bracket would begin an argument
    "]": "{]}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "←": r"$\leftarrow$",
    "–": "--",
    "…": r"\ldots{}",
}


def markdown(text: str) -> str:
    """For GitHub's Markdown, in a paragraph or a table's cell."""
    return _MARKDOWN.sub(lambda found: "\\" + found[0], _one_line(text))


def tex(text: str) -> str:
    """For LaTeX's text mode, in a paragraph or a table's cell."""
    return "".join(_TEX.get(character, character) for character in _one_line(text))


def csv(text: str) -> str:
    """For a cell that a spreadsheet opens: what it would take for a formula gets an apostrophe before it. Numbers stay."""
    seen = visible(text)
    return f"'{seen}" if seen.lstrip().startswith(("=", "+", "-", "@")) and not _is_number(seen) else seen


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))
