"""What `kd check` writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kd_core.laws.law import Verdict


def line(verdict: Verdict, statement: str) -> str:
    """A law and what became of it; where it is broken, what it says and where it shows."""
    if verdict.exempt:
        return f"  -       {verdict.law}: {verdict.exempt}"
    if not verdict.problem:
        return f"  ok      {verdict.law}"
    file, _, number = verdict.where.rpartition(":")
    where = f"{os.path.relpath(file)}:{number}" if file else verdict.where
    return f"  BROKEN  {verdict.law}: {statement}\n          {where}: {verdict.problem}"


def summary(asked: int, broken: int) -> str:
    """How it came out."""
    laws = f"{asked} law{'s' * (asked != 1)}"
    return f"{broken} of {laws} broken" if broken else f"{laws} hold"
