"""`kd init`: what it writes is an experiment, and fits."""

from __future__ import annotations

import pytest

from kd_core.data.table import DATASETS
from orchestrator.cli import first
from orchestrator.cli.first import FEW, FULL, IMAGES, TRAINING, Size, Wish, fitting, seconds, written
from orchestrator.experiment.load import load
from orchestrator.planning.schedule import Machine
from tests.support.command_line import kd, printed

SPEEDS = {"resnet20": 0.003, "resnet8": 0.001}  # seconds an image


def a_wish(time=3600.0, **changes):
    how = {"name": "first", "data": "digits", "teachers": ("resnet20",), "students": ("resnet8",), "methods": ("none", "kd")}
    return Wish(**{**how, "seeds": 2, "seconds": time, **changes})


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """No network is timed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kd_core.models.speed.seconds_per_image", lambda model, info, device: 0.001)


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("30min", 1800), ("2h", 7200), ("1.5 hours", 5400), ("1 Day", 86_400), ("5 m", 300)]
)
def test_a_time(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["soon", "", "0h", "-1h", "2", "2 weeks"])
def test_no_time(text):
    with pytest.raises(ValueError, match="is no time; write 30min, 2h or 1d"):
        seconds(text)


def test_epochs_fill_the_time_and_are_no_more_than_anybody_takes():
    """An image costs, in an epoch, 3 ms of the teacher, 2 × 1 ms plain, 2 × (1 + 3/3) ms with the teacher asked: 9 ms on one
    core. Digits train on 1,294 images."""
    epochs = int(TRAINING * 3600 / 0.009 / 1294)
    assert FEW < epochs < FULL
    assert fitting(a_wish(), SPEEDS, Machine(1)) == Size(epochs)
    assert fitting(a_wish(), SPEEDS, Machine(64)) == Size(FULL), "nothing is shorter than the teacher and a student of it"
    assert fitting(a_wish(86_400), SPEEDS, Machine(1)) == Size(FULL)


def test_images_are_left_out_before_epochs_get_too_few():
    """1,150 for five minutes and three quarters, rounded down."""
    assert fitting(a_wish(345), SPEEDS, Machine(1)) == Size(FEW, 1100)
    short = fitting(a_wish(10), SPEEDS, Machine(1))
    assert (short.images, short.short) == (10 * IMAGES, True)
    assert 1 <= short.epochs < FEW


@pytest.mark.parametrize("machine", [Machine(2), Machine(16, 2)])
@pytest.mark.parametrize("data", first.known_data())
@pytest.mark.parametrize("all_images", [True, False])
def test_what_is_written_is_an_experiment(tmp_path, machine, data, all_images):
    size = Size(30, None if all_images else IMAGES * DATASETS[data].classes)
    file = tmp_path / "first.yaml"
    file.write_text(written(a_wish(data=data), size, SPEEDS, machine, str(file)))
    spec = load(file)
    assert (spec.name, spec.data.name, spec.data.train_size) == ("first", data, size.images)
    assert [(teacher.model, teacher.recipe.epochs) for teacher in spec.teachers] == [("resnet20", size.epochs)]
    assert {(student.method.name, student.seed) for student in spec.students} == {
        (m, s) for m in ("none", "kd") for s in (0, 1)
    }
    assert spec.resources.student.gpus == (0.5 if machine.gpus else 0)


def test_the_file_passes_kd_plan_and_is_not_written_over(measured, tmp_path, capsys):
    said = printed(capsys, "init", "mine.yaml", "--teacher", "resnet14", "--method", "dkd", "--seeds", "2", "--time", "1h").out
    assert said.startswith("mine.yaml: ")
    assert "kd run mine.yaml" in said
    shown = printed(capsys, "plan", "mine.yaml").out
    assert "resnet8 · dkd · s1" in shown
    assert "resnet14-s0" in shown
    text = (tmp_path / "mine.yaml").read_text()
    assert "exists, and is left as it is" in printed(capsys, "init", "mine.yaml", code=2).err
    assert (tmp_path / "mine.yaml").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "cifar1"), "there is no data set 'cifar1'; did you mean cifar10 or cifar100?"),
        (("--teacher", "resnt8"), "there is no model 'resnt8'; did you mean resnet8"),
        (("--method", "gpacc"), "there is no method 'gpacc'; did you mean gpac"),
        (("--time", "soon"), "'soon' is no time"),
        (("--data", "image_folder"), "image_folder needs more than its name"),
        (("--student", "ResNet18", "--data", "digits", "--teacher", "torchvision:nothing"), "x.yaml:"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    error = printed(capsys, "init", "x.yaml", *arguments, code=2).err
    assert words in " ".join(error.split())
    assert not list(tmp_path.iterdir())


def test_models_are_completed(tmp_path):
    done = kd(env={"_KD_COMPLETE": "complete_bash", "COMP_WORDS": "kd init x.yaml --teacher resnet3", "COMP_CWORD": "4"})
    assert done.stdout.split() == ["resnet32", "resnet32x4"]
