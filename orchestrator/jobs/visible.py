"""Foreign text, made harmless for whoever looks at it: reasons of failures, names of classes and files, what libraries say."""

from __future__ import annotations


def visible(text: str) -> str:
    """The text with what cannot be seen written out, as ``\\x1b`` or ``\\u202e``: a terminal obeys the one, and the other lets
    what follows be read in another order. Lines stay lines."""
    return "".join(character if character.isprintable() or character == "\n" else _written_out(character) for character in text)


def _written_out(character: str) -> str:
    return " " if character in "\t\r\u00a0" else character.encode("unicode_escape").decode()
