"""The plugins that jobs of a store were made with: kept by content, so that every worker runs just what the driver read.

<store>/plugins/<sha256>/files/…       the content
<store>/plugins/<sha256>/plugin.json   name, entry and paths, written last
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_core.plugins.plugin import Plugin
from kd_core.plugins.tables import in_force, use
from orchestrator.store.backends.cache import cache
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.files import json_bytes, write_bytes
from orchestrator.store.store import Store


def keep(plugin: Plugin, store: Store) -> None:
    """Keep a plugin's content, where it is not there yet, or is damaged.

    Raises:
        StoreFailed: where the store cannot be written.
    """
    folder = _folder(plugin.sha256)
    with contextlib.suppress(CorruptEntry):
        kept(plugin.name, plugin.sha256, store)
        return
    for path, content in plugin.files.items():
        store.backend.write(f"{folder}/files/{path}", content)
    listing = {"name": plugin.name, "entry": plugin.entry, "files": sorted(plugin.files)}
    store.backend.write(f"{folder}/plugin.json", json_bytes(listing))


def kept(name: str, sha256: str, store: Store) -> Plugin:
    """A plugin as it was kept, to be run from files of this machine.

    Raises:
        CorruptEntry: where it is not there, or is not the one with that SHA-256.
    """
    folder = _folder(sha256)
    listing = store.read_json(f"{folder}/plugin.json")
    try:
        files = {path: store.backend.read(f"{folder}/files/{path}") for path in listing["files"]}
        plugin = Plugin(name, listing["entry"], files, str(_here(sha256, files, store) / listing["entry"]))
    except (KeyError, FileNotFoundError):
        raise CorruptEntry(f"{folder}: the plugin {name} is not whole") from None
    if plugin.sha256 != sha256:
        raise CorruptEntry(f"{folder}: the plugin {name} does not have its SHA-256")
    return plugin


def use_stated(config: Mapping[str, Any], store: Store) -> None:
    """Have in force, in this process, the plugins that a job's config states; those that are already are not read again.

    Raises:
        PluginError: where one cannot be run here.
        CorruptEntry: from :func:`kept`.
    """
    stated: dict[str, str] = config.get("plugins", {})
    if stated and not set(stated.values()) <= {plugin.sha256 for plugin in in_force()}:
        use([kept(name, sha256, store) for name, sha256 in stated.items()])


def _folder(sha256: str) -> str:
    return f"plugins/{sha256}"


def _here(sha256: str, files: Mapping[str, bytes], store: Store) -> Path:
    """A folder of this machine that holds the files: the store's own, or one in the cache."""
    if store.root is not None:
        return store.root / _folder(sha256) / "files"
    folder = cache() / "plugins" / sha256
    for path, content in files.items():
        if not (folder / path).is_file() or (folder / path).read_bytes() != content:
            write_bytes(folder / path, content)
    return folder
