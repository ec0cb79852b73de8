"""`kd run`: real runs of the smallest experiment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from orchestrator.cli.app import main
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.store import Store
from tests.support.paths import ROOT
from tests.support.world import finish_job, the

HEAVY = ("torch", "ray", "mlflow", "matplotlib")


@pytest.fixture
def file(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    return str(tiny)


def test_a_run_a_second_run_and_one_that_goes_on(file, capsys):
    assert main(["run", file, "--executor", "inline"]) == 0
    output = capsys.readouterr()
    for text in ("kd", "resnet8-s0", "Did 4 jobs of 4 in", f"kd report {file}"):
        assert text in output.out
    assert "waiting" in output.err
    assert main(["run", file, "--executor", "inline"]) == 0
    assert "Nothing to do: all of tiny was done before." in capsys.readouterr().out


def test_nothing_to_do_needs_neither_torch_nor_ray(file):
    spec = load(file)
    for job in make(spec):
        finish_job(Store(spec.store), job)
    script = (
        "import sys; from orchestrator.cli.app import main; code = main(sys.argv[1:]);"
        f"print(code, [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, "run", file], capture_output=True, text=True, env=environment())
    assert "Nothing to do" in done.stdout
    assert done.stderr.splitlines()[-1] == "0 []"


def test_a_failed_job_is_named_with_its_reason_and_ends_with_1(file, capsys):
    arguments = [file, "--set", "teachers.recipe.lr=1e30", "--set", "teachers.recipe.schedule=constant"]
    assert main(["run", *arguments, "--executor", "inline"]) == 1
    output = capsys.readouterr().out
    assert "failed: resnet8-s0: the loss diverged in epoch 1: " in output
    assert "not run, because what they need failed: 2 jobs (probes of resnet8-s0, resnet8 · kd · s0)" in output
    assert "Did 1 job of 4 in" in output
    assert main(["plan", *arguments]) == 0
    assert "failed last time: the loss diverged in epoch 1: " in capsys.readouterr().out


FAILING = ("--set", "teachers.recipe.lr=1e30", "--set", "teachers.recipe.schedule=constant")


def test_quiet_says_what_failed_and_how_it_ended(file, capsys):
    assert main(["run", file, "--executor", "inline", "--quiet", *FAILING]) == 1
    output = capsys.readouterr()
    assert output.err == ""
    failed, blocked, ended = output.out.splitlines()
    assert failed.startswith("failed: resnet8-s0: the loss diverged in epoch 1: ")
    assert blocked.startswith("not run, because what they need failed: 2 jobs")
    assert ended.startswith("Did 1 job of 4 in ")


def test_events_for_programs(file, capsys):
    assert main(["run", file, "--executor", "inline", "--json", *FAILING]) == 1
    output = capsys.readouterr()
    events = [json.loads(line) for line in output.out.splitlines()]
    assert output.err == ""
    assert [event["event"] for event in events[:2]] == ["wait", "begin"]
    assert events[1]["name"] == "tiny"
    [failed] = [event for event in events if event["event"] == "job_failed"]
    assert (failed["job"]["kind"], failed["job"]["title"]) == ("teacher", "resnet8-s0")
    assert failed["reason"].startswith("the loss diverged in epoch 1: ")
    [done] = [event for event in events if event["event"] == "job_done"]
    assert done["job"]["title"] == "resnet8 · none · s0"
    counts = [event for event in events if event["event"] == "counts"]
    assert counts[-1] == counts[-1] | {"done": 1, "failed": 1, "blocked": 2, "ready": 0}
    assert events[-1] == events[-1] | {"event": "end", "computed": 1, "failed": 1, "blocked": 2, "code": 1}
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_two_runs_at_once_are_refused(file, capsys):
    with Store(load(file).store).lock("run-tiny"):
        assert main(["run", file, "--executor", "inline"]) == 2
    assert "another `kd run` of tiny is at work" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 1, "Stopping (Ctrl-C): workers are ended; what is half done goes on from its last epoch next time"),
        (signal.SIGTERM, os.EX_TEMPFAIL, "Stopping (SIGTERM): what comes to the end of its epoch within 15 s is waited for; "),
    ],
)
def test_a_signal_is_acknowledged_and_it_is_said_how_to_go_on(file, number, code, words):
    command = [sys.executable, "-c", "import sys; from orchestrator.cli.app import main; sys.exit(main())", "run", file]
    long = ["--executor", "inline", "--set", "teachers.recipe.epochs=100000"]
    run = subprocess.Popen([*command, *long], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    spec = load(file, ["teachers.recipe.epochs=100000"])
    teacher = the(make(spec), "resnet8-s0")
    until = time.monotonic() + 60
    while not Store(spec.store).progress(teacher).get("epoch") and time.monotonic() < until:
        time.sleep(0.1)
    run.send_signal(number)
    _, output = run.communicate(timeout=60)
    assert run.returncode == code
    assert f"] {words}" in output
    assert f"t goes on from here with:  kd run {file} --set teachers.recipe.epochs=100000" in output
    assert "Traceback" not in output


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
