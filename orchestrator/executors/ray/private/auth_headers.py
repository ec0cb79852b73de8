"""The headers that carry Ray's token: `ray._private.authentication.http_token_authentication.get_auth_headers_if_auth_enabled`.

Tested with Ray 2.60.0. Where a later Ray has no such function, the token is not tried beforehand: Ray itself finds out, tries
for 20 s and warns each second.
"""

from __future__ import annotations


def auth_headers() -> dict[str, str] | None:
    """The headers, empty where there is no token or the mode is not `token`; None where this Ray does not give them."""
    try:
        from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled
    except ImportError:
        return None
    return dict(get_auth_headers_if_auth_enabled({}))
