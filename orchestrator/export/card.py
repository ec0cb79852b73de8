"""The model card of an export, in Markdown: what it is, how it is used, how good and how large it is, where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from orchestrator.export.description import Description
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.jobs.visible import visible
from orchestrator.planning.plan import Plan
from orchestrator.store.entry import Entry

SHOWN_LABELS = 20


def card(about: Description, job: Job, entry: Entry, plan: Plan, teachers: Sequence[Entry], use: str) -> str:
    """The text of ``README.md``. ``teachers`` are their entries, as far as the store has them; ``use`` is Python that runs the
    export, with places for the size of its input."""
    sizes = {"channels": about.input.channels, "size": about.input.size, "classes": len(about.labels)}
    parts = [
        _front_matter(about, job),
        f"# {_text(about.student)}",
        _summary(about, job, plan),
        "## Use",
        f"```sh\nkd predict FOLDER image.png\n```\n\n```python\n{use.format(**sizes)}\n```",
        _input(about),
        "## Accuracy",
        "\n".join(_accuracy(about, job, teachers)),
        "## Size and speed",
        "\n".join(_cost(about)),
        *(["## Compared with the original", _comparison(about)] if about.comparison else []),
        "## Training",
        "\n".join(_training(job, entry, plan)),
        "## Limits",
        f"Its accuracy is known on the test split of {job.config['data']['name']} alone. Images of another kind, and classes "
        "that are not in its list, get a label all the same. What the data set's licence asks for holds for the student, too.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(about: Description, job: Job) -> str:
    tags = json.dumps(["knowledge-distillation", job.config["method"]["name"], about.model])
    return (
        f"---\nlibrary_name: pytorch\npipeline_tag: image-classification\ntags: {tags}\n"
        f"datasets: {json.dumps([job.config['data']['name']])}\nmetrics: [accuracy]\n---"
    )


def _summary(about: Description, job: Job, plan: Plan) -> str:
    taught = ", ".join(plan.jobs[key].title for key in job.parents.get("teachers", []))
    how = f"trained by {job.config['method']['name']} to follow {taught}" if taught else "trained with the labels alone"
    return (
        f"A {about.model} that classifies images of {job.config['data']['name']} into {len(about.labels)} classes, "
        f"{how}. It is the student `{_text(about.student)}` of the experiment `{_text(about.experiment)}`."
    )


def _input(about: Description) -> str:
    seen = about.input
    colour = {1: "grey", 3: "RGB"}.get(seen.channels, f"{seen.channels} channels")
    labels = ", ".join(map(_text, about.labels[:SHOWN_LABELS]))
    more = f", … ({len(about.labels)} in all, in `export.json`)" if len(about.labels) > SHOWN_LABELS else ""
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (seen.mean, seen.std))
    inside = "The file does this itself" if about.format != "safetensors" else "The network expects that"
    return (
        f"An image is {colour}, scaled so that its shorter side is {seen.resized} pixels (bilinear, antialiased), of which the "
        f"middle {seen.size} × {seen.size} are taken, as 8-bit values. They are divided by 255, less the mean ({mean}), over "
        f"the deviation ({std}). {inside}. The answer is a probability for each class, in this order: {labels}{more}."
    )


def _accuracy(about: Description, job: Job, teachers: Sequence[Entry]) -> Iterator[str]:
    results = about.results
    yield "| network | split | epoch | accuracy | parameters |\n|:--|:--|:--|--:|--:|"
    epoch = "chosen on the validation split" if job.validated else "last"

    def row(name: str, split: str, epoch: str, accuracy: float, parameters: int) -> str:
        return f"| {name} | {split} | {epoch} | {100 * accuracy:.2f} % | {parameters:,} |"

    own = results["parameters"]
    if "validation_accuracy" in results and job.validated:
        yield row("this student", "validation", epoch, results["validation_accuracy"], own)
    yield row("this student", "test", epoch, results["test_accuracy"], own)
    if job.validated and "test_accuracy_last" in results:
        yield row("this student", "test", "last", results["test_accuracy_last"], own)
    for entry in teachers:
        found = entry.results
        when = epoch if "epochs" in found else "given"
        yield row(f"teacher {entry.manifest['title']}", "test", when, found["test_accuracy"], found["parameters"])


def _cost(about: Description) -> Iterator[str]:
    cost = about.cost
    assert cost
    yield f"- {cost.parameters:,} parameters; the file has {cost.bytes / 2**20:.2f} MiB"
    yield f"- {cost.multiplications / 1e6:.2f} million multiply-accumulates for an image (convolutions and linear layers)"
    for size, milliseconds in cost.latency_ms.items():
        what = "1 image" if size == "1" else f"{size} images at once"
        yield (
            f"- {what}: {milliseconds:.2f} ms, the median on {_text(cost.processor) or 'this machine'} with {cost.threads} "
            f"thread{'s' * (cost.threads != 1)}"
        )


def _comparison(about: Description) -> str:
    found = about.comparison
    assert found
    text = (
        f"On {found.images} images of the test split, spread evenly, the file says the same class as the original for "
        f"{found.same_class}; the largest difference of a probability is {found.largest_difference:.2g} "
        f"(allowed: {found.tolerance:g})."
    )
    if found.as_tested is not None:
        text += f" For {found.as_tested} it says what the student said when it was tested after its training."
    return text


def _training(job: Job, entry: Entry, plan: Plan) -> Iterator[str]:
    config, environment = job.config, entry.manifest["environment"]
    yield f"- data: `{_json(config['data'])}`"
    yield f"- recipe: `{_json(config['recipe'])}`"
    yield f"- method: `{_json({config['method']['name']: config['method']['knobs']})}`"
    if found := entry.results.get("searched"):
        yield f"- of which a search chose `{_json(found)}`"
    for key in job.parents.get("teachers", []):
        yield f"- teacher: {plan.jobs[key].title} (`{plan.jobs[key].short}`)"
    yield f"- seed: {config['seed']}; key: `{job.key}`"
    yield f"- made with: `{_json(environment)}`"


def _json(value: object) -> str:
    return _text(canonical.text(value)).replace("`", "'")


def _text(text: str) -> str:
    return visible(text).replace("\n", " ")
