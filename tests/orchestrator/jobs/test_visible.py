"""Foreign text with what cannot be seen in it."""

from __future__ import annotations

import pytest

from orchestrator.jobs.visible import visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain, ünï 猫 ✓ ± −", "plain, ünï 猫 ✓ ± −"),
        ("two\nlines", "two\nlines"),
        ("a\tb\rc", "a b c"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\u202eb"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, seen):
    assert visible(text) == seen
