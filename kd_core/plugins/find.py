"""Where plugins are: beside an experiment, or installed. Nothing of them is run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from kd_core.plugins.plugin import Plugin, PluginError

GROUP = "kd.plugins"  # of entry points: these plugins are always in force


def read(name: str, folders: Sequence[Path] = ()) -> Plugin:
    """The plugin of that name; nothing of it is run.

    Args:
        name: a path that ends in ``.py``, relative to the first of ``folders`` that has it, or a module's dotted name.
        folders: where files are looked for, and modules before those that are installed.

    Raises:
        PluginError: where there is none.
    """
    return _read_file(name, folders) if name.endswith(".py") else _read_module(name, folders)


def installed() -> list[str]:
    """The modules of plugins that installed packages announce by the entry-point group."""
    return sorted({entry.value.partition(":")[0] for entry in importlib.metadata.entry_points(group=GROUP)})


def _read_file(name: str, folders: Sequence[Path]) -> Plugin:
    tried = [folder / name for folder in folders] or [Path(name)]
    for path in tried:
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise PluginError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        return Plugin(name, path.name, {path.name: content}, str(path.absolute()))
    raise PluginError(f"{name}: no such file (looked in {', '.join(dict.fromkeys(str(path.parent) for path in tried))})")


def _read_module(name: str, folders: Sequence[Path]) -> Plugin:
    if not all(part.isidentifier() for part in name.split(".")) or len(name) > 200:
        raise PluginError(f"{name!r}: a plugin is a file that ends in .py, or a module's name such as package.module")
    top, relative = name.partition(".")[0], PurePosixPath(*name.split("."))
    for folder in [*folders, *map(Path, _roots(top))]:
        for entry in (relative.with_suffix(".py"), relative / "__init__.py"):
            if (folder / entry).is_file():
                package = folder / top
                paths = sorted(package.rglob("*.py")) if package.is_dir() else [folder / entry]
                files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}
                return Plugin(name, entry.as_posix(), files, str((folder / entry).absolute()))
    raise PluginError(f"{name}: no module of that name is beside the experiment, or installed")


def _roots(top: str) -> list[str]:
    """The folders in which an installed package or module lies; it is not imported."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [str(Path(place).parent) for place in spec.submodule_search_locations]
    return [str(Path(spec.origin).parent)] if spec.origin else []
