"""Passwords in URIs: found, so that they are refused in files, and masked, so that they are in no message."""

from __future__ import annotations

import re

USER = re.compile(r"://([^\s?#]*)@")  # a database's password may hold a slash, or another @
SECRET = re.compile(r"([?&][^=&\s]*(?:pass|token|secret|key)[^=&\s]*=)[^&\s]+", re.IGNORECASE)


def holds_password(uri: str) -> bool:
    """Whether a URI names more than a user: ``//user:password@host``, or ``?password=…``."""
    user = USER.search(uri)
    return bool(user and ":" in user[1]) or bool(SECRET.search(uri))


def masked(text: str) -> str:
    """The text with every URI's user and password masked."""
    return SECRET.sub(r"\1***", USER.sub("://***@", text))
