"""How docstrings and objects are read for the site. An extension of griffe, which reads them without importing anything.

Roles, such as ``:func:`kd_core.losses.divergences_MB```, become links; a name is looked for in the scope where it is written.
A knob is described by its help, another attribute by the comment at the end of its line. What is described by neither, and is
merely assigned by ``__init__`` or stands in the signature of a dataclass, is left out.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

COMMENT = re.compile(r"  # (?!type:|noqa)(.+)$")
ROLE = re.compile(r":(?:func|class|meth|mod|attr|data|exc|obj):`~?([^`]+)`")


class Docstrings(griffe.Extension):
    """Asked of every object once it has been read, when names of other modules may not have been."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Roles to links, in Markdown."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(lambda role: f"[`{role[1]}`][{path_of(obj, role[1])}]", obj.docstring.value)

    def on_attribute(self, *, attr: griffe.Attribute, **kwargs: Any) -> None:
        """What describes it, and whether it is shown."""
        said = knob_help(attr) or comment(attr)
        if attr.docstring is None and said:
            attr.docstring = griffe.Docstring(said[0].upper() + said[1:], parent=attr)
        if attr.docstring is None and isinstance(attr.parent, griffe.Class):
            merely_assigned = "class-attribute" not in attr.labels and attr.annotation is None
            if merely_assigned or any("dataclass" in str(decorator.value) for decorator in attr.parent.decorators):
                attr.public = False


def knob_help(attr: griffe.Attribute) -> str:
    """The second argument of ``knob``."""
    call = attr.value
    if isinstance(call, griffe.ExprCall) and str(call.function) == "knob" and len(call.arguments) > 1:
        return str(ast.literal_eval(str(call.arguments[1])))
    return ""


def comment(attr: griffe.Attribute) -> str:
    """What stands behind the attribute on its last line."""
    found = COMMENT.search(attr.lines[-1]) if attr.lines else None
    return found[1] if found else ""


def path_of(scope: griffe.Object, name: str) -> str:
    """The full path of a name, as it is seen from the inside of an object."""
    first, dot, rest = name.partition(".")
    try:
        return scope.resolve(first) + dot + rest
    except griffe.NameResolutionError:
        return name
