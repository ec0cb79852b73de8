"""Numbers as people read them. Accuracies come in as fractions and are written in percent."""

from __future__ import annotations

from orchestrator.report.analysis.statistics import Sample

NOTHING = "–"
SEARCHES = "Searches"  # the title of their table and of their figures


def percent(fraction: float | None) -> str:
    """97.36"""
    return NOTHING if fraction is None else f"{100 * fraction:.2f}"


def spread(sample: Sample | None, scale: float = 100) -> str:
    """97.36 ± 0.42: mean and standard deviation; of one value the value alone."""
    if sample is None:
        return NOTHING
    mean = f"{scale * sample.mean:.2f}"
    return mean if sample.std is None else f"{mean} ± {scale * sample.std:.2f}"


def points(difference: float, scale: float = 100) -> str:
    """+1.20 or −0.30: a difference of accuracies in percentage points, or of what has another scale."""
    text = f"{scale * difference:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def percent_interval(interval: tuple[float, float], scale: float = 100) -> str:
    """[+0.30, +2.10]"""
    low, high = interval
    return f"[{points(low, scale)}, {points(high, scale)}]"


def probability(p: float | None) -> str:
    """0.034, or <0.001"""
    if p is None:
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float | None) -> str:
    """8.2 s, 3.4 min or 2.1 h"""
    if seconds is None:
        return NOTHING
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def hours(seconds: float) -> str:
    """0:07:30"""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def size(bytes_: int | None) -> str:
    """0.52 GiB or 123 MiB"""
    if bytes_ is None:
        return NOTHING
    return f"{bytes_ / 2**30:.2f} GiB" if bytes_ >= 2**30 / 2 else f"{bytes_ / 2**20:.0f} MiB"


def count(number: int | None) -> str:
    """278,324 is 0.28 M; below a hundred thousand the number itself."""
    if number is None:
        return NOTHING
    return f"{number / 1e6:.2f} M" if number >= 100_000 else f"{number:,}"
