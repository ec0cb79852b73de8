"""Ray's token authentication: every client and node of a cluster holds one secret token.

Ray takes it from RAY_AUTH_TOKEN, from the file RAY_AUTH_TOKEN_PATH or from ~/.ray/auth_token, where RAY_AUTH_MODE says
``token``. It reads all of them itself; we never look at the token, so it can be in no argument, message or file of ours.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

MODE, TOKEN, FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
HOW = f"set {FILE} to the file that holds it (or {TOKEN} to the token)"


def use_token() -> None:
    """Have Ray send the token where there is one and nobody says otherwise. To be called before ray is imported."""
    if MODE not in os.environ and token_at_hand():
        os.environ[MODE] = "token"


def make_token() -> None:
    """Have a private cluster ask for a token, which is in the environment of its processes alone.

    Without one, whoever reaches its ports can run code as this user. To be called before ray is imported: where it already
    is, Ray itself turns the mode on, since a cluster that it starts has a token by default.
    """
    if os.environ.get(MODE) == "disabled":
        return
    if "ray" not in sys.modules:
        os.environ.setdefault(MODE, "token")
    if not (os.environ.get(TOKEN) or os.environ.get(FILE)):  # a file at home may be changed while we run
        os.environ[TOKEN] = secrets.token_hex(32)


def token_at_hand() -> bool:
    """Whether Ray will find a token."""
    named = os.environ.get(FILE)
    return bool(os.environ.get(TOKEN)) or Path(named or "~/.ray/auth_token").expanduser().is_file()
