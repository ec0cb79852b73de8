"""Text made harmless; Markdown and LaTeX are tested where reports are rendered."""

from __future__ import annotations

import pytest

from orchestrator.report.text import escape


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49", "+49"),
        ("-0.5", "-0.5"),
        ("-x", "'-x"),
        ("@sum", "'@sum"),
        ("\t=a", "' =a"),
        ("kd\n=a", "kd\n=a"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text, cell):
    assert escape.csv(text) == cell
