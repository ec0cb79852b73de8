"""`kd gc`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Set, StoreOption, existing, planned
from orchestrator.planning.heaps import Heap

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="The experiments whose results are kept.", show_default=False),
]


def gc(
    files: Files,
    location: StoreOption = None,
    sets: Set = None,
    delete: Annotated[
        list[Heap] | None, typer.Option("--delete", metavar="HEAP", help="Remove it. Repeatable.", show_default=False)
    ] = None,
) -> None:
    """Show what can be removed, and remove it.

    Without --delete nothing is touched: the heaps are shown with their sizes. What a run at work uses is never removed. With
    `others`, all goes that is not of the experiments that were named: name all whose results you want to keep.

    \b
    Examples:
      kd gc experiments/digits.yaml
      kd gc experiments/digits.yaml --delete left --delete quarantine
      kd gc experiments/*.yaml --store /shared/store --delete others
    \f

    Raises:
        SpecError: with every mistake in a file.
        StoreError: where the store cannot be read.
        typer.BadParameter: where the files are not all on one store.
        typer.Exit: with 1 where a heap could not be removed now.
    """
    from orchestrator.cli.views.console import show
    from orchestrator.cli.views.garbage import overview, removed
    from orchestrator.planning.garbage import Garbage

    found = [planned(existing(file), sets, location) for file in files]
    stores = {store.location: store for _, _, store in found}
    if len(stores) > 1:
        raise typer.BadParameter(f"the files name several stores ({', '.join(stores)}); give them one by one, or --store")
    [store] = stores.values()
    garbage = Garbage([plan for _, plan, _ in found], store)
    if not delete:
        show(*overview(store.location, [garbage.look(heap) for heap in Heap]))
        return
    ended = [garbage.remove(heap) for heap in dict.fromkeys(delete)]
    show(*removed(ended))
    if any(each.refused for each in ended):
        raise typer.Exit(1)
