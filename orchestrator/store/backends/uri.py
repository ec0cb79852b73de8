"""Where a store can be, and how a place is told without telling a secret."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

REMOTE = ("s3", "gs", "gcs", "abfs", "abfss")
ALLOWED = "a path, file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX"
S3_QUERY = ("region", "scheme", "endpoint_override", "tls_ca_file_path")
SECRET = re.compile("pass|secret|token|_key|^key|^sig", re.IGNORECASE)  # in the name of a query's parameter


def uri_problem(text: str) -> str | None:
    """Why a store's place, which is a path or a URI, cannot be used; None where it may. Holds no secret.

    What must not be in it would be shown, logged and kept in many places.
    """
    if "\0" in text:
        return "holds a NUL character, which no path has"
    if "://" not in text:
        return None
    parts = urlsplit(text)
    user, _, _ = parts.netloc.rpartition("@")
    if ":" in user or (user and parts.scheme == "s3") or "@" in unquote(parts.query):
        return "holds a user and a password, which would be shown and logged; they belong in the environment"
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if SECRET.search(name):
            return f"holds `{name}`, which would be shown and logged; it belongs in the environment"
        if parts.scheme == "s3" and name not in S3_QUERY:
            return f"holds `{name}`; what may follow the question mark is {', '.join(S3_QUERY)}"
    if parts.scheme == "file":
        return None if parts.netloc in ("", "localhost") else f"names the host {parts.netloc}; file:///PATH is meant"
    if parts.scheme not in REMOTE:
        return f"has the scheme {parts.scheme}://, but a store is {ALLOWED}"
    if not parts.netloc:
        return f"names no bucket; a store is {ALLOWED}"
    if not parts.path.strip("/"):
        return "names a whole bucket; give it a folder of its own in it, as in s3://BUCKET/PREFIX"
    if re.search(r"(^|/)\.{1,2}(/|$)|//", parts.path.strip("/")):
        return "has a prefix with an empty part, `.` or `..`"
    return None


def hidden(text: str) -> str:
    """A URI without what may be a secret in it."""
    text = re.sub(r"://[^/\s?]*@", "://***@", text)
    text = re.sub(r"=[^&\s]*(@|%40)", "=***@", text)
    return re.sub(
        r"([?&])([^=&]*)=[^&\s]*", lambda found: f"{found[1]}{found[2]}=***" if SECRET.search(found[2]) else found[0], text
    )
