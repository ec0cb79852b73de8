"""Running a plugin: what was hashed is what is run.

A file is executed from the bytes that were read, under a module name of its own, so that two versions never share a module. A
package is imported by its own name, of which a process can hold one version only.
"""

from __future__ import annotations

import importlib
import linecache
import sys
import traceback
import types
from pathlib import Path, PurePosixPath

from kd_core.plugins.plugin import Plugin, PluginError

_modules: dict[str, types.ModuleType] = {}  # by SHA-256 and entry: each is run once in a process
_packages: dict[str, str] = {}  # the SHA-256 of those that were imported as plugins


def load(plugin: Plugin) -> types.ModuleType:
    """The plugin's module, run once in a process.

    Raises:
        PluginError: where it raises when it is run, with its own error, file and line; or where another version of its package
            is in memory.
    """
    known = f"{plugin.sha256}/{plugin.entry}"
    if known not in _modules:
        try:
            _modules[known] = _run_file(plugin) if plugin.is_file else _import(plugin)
        except PluginError:
            raise
        except BaseException as error:  # whatever a stranger's module does when it is run
            if isinstance(error, KeyboardInterrupt):
                raise
            raise PluginError(_told(plugin, error)) from None
    return _modules[known]


def _run_file(plugin: Plugin) -> types.ModuleType:
    source = plugin.files[plugin.entry]
    name = f"kd_plugin_{plugin.sha256[:16]}_{Path(plugin.entry).stem}"
    module = types.ModuleType(name)
    file = plugin.at or plugin.name
    module.__file__ = file
    code = compile(source, file, "exec")
    linecache.cache[file] = (len(source), None, source.decode(errors="replace").splitlines(keepends=True), file)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(plugin: Plugin) -> types.ModuleType:
    """A module of a package, from where it was read; only one version of a package can be in a process."""
    top = plugin.name.partition(".")[0]
    had = _packages.get(top)
    if had not in (None, plugin.sha256):
        raise PluginError(f"{plugin.name}: another version of {top} is in this process; begin a new one")
    root = str(Path(plugin.at).parents[len(PurePosixPath(plugin.entry).parts) - 1])
    sys.path.insert(0, root)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(plugin.name)
    finally:
        sys.path.remove(root)
    if str(module.__file__) != plugin.at and Path(str(module.__file__)).read_bytes() != plugin.files[plugin.entry]:
        raise PluginError(f"{plugin.name}: another module of that name is in this process, from {module.__file__}")
    _packages[top] = plugin.sha256
    return module


def _told(plugin: Plugin, error: BaseException) -> str:
    """``my_methods.py:12: NameError: name 'Knob' is not defined``."""
    if isinstance(error, SyntaxError):
        return f"{plugin.name}:{error.lineno or 1}: {error.msg}"
    files = {plugin.at or plugin.name, *(str(Path(plugin.at).parent / path) for path in plugin.files)}
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{plugin.name}:{lines[-1] if lines else 1}: {type(error).__name__}: {error}"
