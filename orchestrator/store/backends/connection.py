"""pyarrow's file system of a URI. Credentials come from the environment or the instance, never from the URI."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from pyarrow import fs

from orchestrator.store.backends.uri import hidden


@dataclass(frozen=True)
class Patience:
    """How long to wait for a place that does not answer."""

    attempts: int  # requests in all, with growing pauses
    connect_s: float
    silence_s: float  # without a byte
    total_s: int  # where the file system takes only a total


FIRST = Patience(attempts=2, connect_s=5, silence_s=5, total_s=15)
PATIENT = Patience(attempts=10, connect_s=10, silence_s=60, total_s=120)


def connect(uri: str, patience: Patience) -> tuple[fs.FileSystem, str]:
    """The file system, and the path of the store in it: ``bucket/prefix``.

    Raises:
        OSError: where it cannot be known without a network that is not there.
    """
    scheme = urlsplit(uri).scheme
    if scheme == "s3":
        return _s3(uri, patience)
    if scheme in ("gs", "gcs"):
        uri += f"{'&' if '?' in uri else '?'}retry_limit_seconds={patience.total_s}"
    files, base = fs.FileSystem.from_uri(uri)
    return files, base.strip("/")


def bucket_of(base: str) -> str:
    """The bucket or container of a path."""
    return base.partition("/")[0]


def endpoint_of(uri: str) -> str:
    """Who is asked, for people."""
    parts = urlsplit(uri)
    named = dict(parse_qsl(parts.query)).get("endpoint_override") or (_environment() if parts.scheme == "s3" else "")
    return hidden(named) or {"s3": "Amazon S3", "gs": "Google Cloud Storage", "gcs": "Google Cloud Storage"}.get(
        parts.scheme, "Azure"
    )


def _environment() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _s3(uri: str, patience: Patience) -> tuple[fs.FileSystem, str]:
    """Made by hand, since pyarrow takes no timeouts from a URI, and the environment's endpoint only from one."""
    parts = urlsplit(uri)
    query = dict(parse_qsl(parts.query))
    scheme, _, endpoint = (query.get("endpoint_override") or _environment()).rpartition("://")
    region = query.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        region = "us-east-1" if endpoint else fs.resolve_s3_region(parts.netloc)
    files = fs.S3FileSystem(
        region=region,
        endpoint_override=endpoint.rstrip("/") or None,
        scheme=query.get("scheme") or scheme or "https",
        tls_ca_file_path=query.get("tls_ca_file_path"),
        connect_timeout=patience.connect_s,
        request_timeout=patience.silence_s,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=patience.attempts),
        allow_delayed_open=True,  # a small object is one PUT, not a multipart upload of one part
    )
    return files, f"{parts.netloc}{parts.path}".strip("/")
