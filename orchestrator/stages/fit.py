"""What teacher and student stages share: train, choose by validation, test once, write."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import torch

from kd_core.bank.source import Source
from kd_core.data.batches import plain_batches
from kd_core.data.load import with_views
from kd_core.data.splits import Splits
from kd_core.data.table import DataConfig
from kd_core.distributed import ALONE, Group
from kd_core.methods.method import Method
from kd_core.models.measure import multiplications
from kd_core.models.network import Network, shape_of
from kd_core.random import derive
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoints, Record
from kd_core.training.evaluate import Scores, scores
from kd_core.training.loop import Training
from kd_core.training.metrics import TEST_ACCURACY, VALIDATION_ACCURACY
from kd_core.training.optim import Diverged
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.stages.networks import splits_of
from orchestrator.stages.runner import Context
from orchestrator.stages.usage import Usage
from orchestrator.store.artifacts import HISTORY, METHOD, MODEL, PREDICTIONS

PACED = 9  # epochs by which a job tells how fast it is


def prepared(
    job: Job,
    context: Context,
    config: dict[str, Any],
    network: Network,
    method: Method,
    teachers: Sequence[Source],
    group: Group = ALONE,
) -> Training:
    """A training as a config says."""
    runtime = context.runtime
    splits = splits_of(config, runtime.place)
    return Training(
        network,
        method,
        teachers,
        with_views(splits, from_plain(DataConfig, config["data"]), method.further_views(method.config)),
        from_plain(Recipe, config["recipe"]),
        seed=derive(config["seed"], job.kind),
        device=runtime.device,
        compile=runtime.compile,
        watch_test=config.get("best_test", False),
        measure=Usage(runtime.device) if runtime.measured else dict,
        group=group,
    )


def fit(job: Job, context: Context, training: Training) -> dict[str, Any]:
    """Train a network, test it and leave it in the attempt; returns the results for the manifest.

    Of a group, the first worker alone does what comes after the training.
    """
    runtime, network, method, splits = context.runtime, training.network, training.method, training.splits
    result = training.run(Checkpoints(context.work), teller(job, context))
    if not training.group.leads:
        return {}
    last, chosen = result.history[-1], result.history[result.chosen_epoch - 1]

    def on_test() -> Scores:
        network.eval()
        method.own.eval()
        return scores(training.predict, plain_batches(splits, "test", runtime.device))

    test_last = on_test()
    if not math.isfinite(test_last.loss):  # which no split before it may have shown
        raise Diverged(len(result.history), {"test": test_last.loss})
    network.load_state_dict(result.chosen)
    method.own.load_state_dict(result.chosen_own)
    test_chosen = on_test()

    MODEL.write(result.chosen, context.attempt.path)
    if type(method).predict is not Method.predict:  # its own parts are part of the model
        METHOD.write(result.chosen_own, context.attempt.path)
    PREDICTIONS.write(predictions_table(test_chosen, splits), context.attempt.path)
    HISTORY.write(history_table(result.history), context.attempt.path)
    watched = [record.metrics[TEST_ACCURACY] for record in result.history if training.watch_test]
    return {
        **validated(chosen, last),
        **tested(test_chosen),
        "test_accuracy_last": test_last.accuracy,
        **({"test_accuracy_best": max(watched)} if watched else {}),
        "chosen_epoch": result.chosen_epoch,
        "epochs": len(result.history),
        **described(network, splits),
        "device": runtime.device,
        "seconds": sum(record.seconds for record in result.history),
    }


def validated(chosen: Record, last: Record) -> dict[str, float]:
    """The validation accuracy of the chosen epoch and of the last one; empty where nothing is validated on."""
    if VALIDATION_ACCURACY not in last.metrics:
        return {}
    return {
        "validation_accuracy": chosen.metrics[VALIDATION_ACCURACY],
        "validation_accuracy_last": last.metrics[VALIDATION_ACCURACY],
    }


def tested(found: Scores) -> dict[str, float]:
    """What a manifest holds of the test split at the chosen epoch."""
    top5 = {} if found.top5 is None else {"test_top5": found.top5}
    return {"test_accuracy": found.accuracy, **top5, "test_loss": found.loss, "test_brier": found.brier}


def described(network: Network, splits: Splits) -> dict[str, Any]:
    """What a manifest holds of the network itself."""
    device = next(network.parameters()).device
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiplications": multiplications(network, torch.zeros(1, *splits.image, device=device)),
        "shape": dataclasses.asdict(shape_of(network, splits.image)),
    }


def predictions_table(found: Scores, splits: Splits) -> pa.Table:
    """The classes that were predicted for the images of the test split, and those that they are."""
    columns = {"predicted": found.predicted_N, "label": splits.test.labels_N.cpu()}
    return pa.table({name: pa.array(values.numpy(), pa.int32()) for name, values in columns.items()}, PREDICTIONS.schema)


def teller(job: Job, context: Context) -> Callable[[Record], None]:
    """What says, at every epoch's end, how far the job is."""
    last: deque[float] = deque(maxlen=PACED)

    def on_epoch(record: Record) -> None:
        last.append(record.seconds)
        accuracy = record.metrics.get(VALIDATION_ACCURACY)
        context.say(
            epoch=record.epoch,
            epochs=job.epochs,
            seconds=record.seconds,
            pace=statistics.median(last),
            loss=record.metrics["loss"],
            **({} if accuracy is None else {"accuracy": accuracy}),
        )

    return on_epoch


def history_table(history: Sequence[Record]) -> pa.Table:
    """One row per (epoch, metric): epoch from 1, Unix time in ms, name, value."""
    rows = [
        {"epoch": record.epoch, "time_ms": record.time_ms, "seconds": record.seconds, "name": name, "value": value}
        for record in history
        for name, value in record.metrics.items()
    ]
    return pa.Table.from_pylist(rows, schema=HISTORY.schema)
