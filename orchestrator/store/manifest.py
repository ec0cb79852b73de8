"""The manifest of an attempt: the file whose being there makes a result exist, and what is checked of it when it is read."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec

from orchestrator.jobs import canonical
from orchestrator.jobs.job import key_of_plain
from orchestrator.store import results
from orchestrator.store.files import json_bytes

MANIFEST = "manifest.json"  # in the attempt's folder
FORMAT = 1

FileName = Annotated[str, msgspec.Meta(pattern=r"^[^./][^/]*\Z")]  # never a path
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class UnsoundManifest(ValueError):
    """A manifest is not as it was written, or was never one of ours; the text says how."""


class ListedFile(msgspec.Struct):
    """A file of the attempt."""

    sha256: Digest
    bytes: Annotated[int, msgspec.Meta(ge=0)]


class Manifest(msgspec.Struct):
    """What a manifest holds; readers find it as plain values in :attr:`orchestrator.store.entry.Entry.manifest`."""

    format: Literal[1]
    kind: str
    version: int
    key: Digest
    title: str
    config: dict[str, Any]
    parents: dict[str, list[Digest]]
    attempt: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{12}\Z")]
    files: dict[FileName, ListedFile]
    results: dict[str, Any]
    environment: dict[str, Any]
    started: float  # Unix time
    finished: float
    seconds: float  # of work, without what was done before it in another process
    resources: dict[str, Any] = {}
    digest: Digest = ""  # of all the rest


def written(body: dict[str, Any]) -> bytes:
    """The manifest of a body, with the digest that says that it is whole."""
    return json_bytes({**body, "digest": canonical.digest(body)})


def read(content: bytes, kind: str, key: str) -> dict[str, Any]:
    """The body of a manifest that lies under a kind and a key.

    Raises:
        UnsoundManifest: where it is none, was changed after it was written, or is of another kind and key.
    """
    try:
        body, plain = json.loads(content), canonical.loads(content)
        stated = body.pop("digest")
        sound = plain.pop("digest") == stated == canonical.digest_of_plain(plain)
        if sound:
            results.check(kind, msgspec.convert(body, Manifest).results)
        named = key == key_of_plain(kind, plain["version"], plain["config"], plain["parents"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnsoundManifest(f"the manifest cannot be read ({_reason(error)})") from None
    if not (sound and named and body["kind"] == kind and body["key"] == key):
        raise UnsoundManifest("the manifest was changed after it was written")
    return dict(body)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
