"""Folders of images that jobs of a store were made with: their names stand for their content in the keys, so what was in them
is remembered, to tell of a change.

<store>/images/<digest of the folder's name>.json
"""

from __future__ import annotations

import time
from typing import Any

from orchestrator.jobs import canonical
from orchestrator.store.documents import ImageFolder, sound
from orchestrator.store.files import json_bytes
from orchestrator.store.store import Store


def first_seen(folder: str, listing: str, count: int, store: Store) -> dict[str, Any]:
    """What was in a folder of that name when it was first used, with the time; remembered now where it was not used before.

    Raises:
        StoreFailed: where the store cannot be written.
    """
    place = f"images/{canonical.digest(folder)[:32]}.json"
    known = sound(store.read_json(place), ImageFolder)
    if not known:
        known = {"folder": folder, "listing": listing, "count": count, "time": time.time()}
        store.backend.write(place, json_bytes(known))
    return known
