"""What Ray sends with its token, asked in a process of its own: the mode is fixed where ray is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator.executors.ray.private.auth_headers import auth_headers
from tests.support.ray_head import environment

TOKEN = "a-token-of-32-characters-or-more!"
ASK = "from orchestrator.executors.ray.private.auth_headers import auth_headers; print(auth_headers())"


@pytest.mark.parametrize(
    ("mode", "expected"), [("token", {"authorization": f"Bearer {TOKEN}"}), ("disabled", {})], ids=["token", "disabled"]
)
def test_the_token_is_in_the_headers_where_the_mode_says_so(mode, expected):
    settings = environment(RAY_AUTH_MODE=mode, RAY_AUTH_TOKEN=TOKEN)
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=60, env=settings)
    assert done.stdout == f"{expected}\n", done.stderr


def test_a_ray_without_the_function_gives_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray._private.authentication.http_token_authentication", None)
    assert auth_headers() is None
