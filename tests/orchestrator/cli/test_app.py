"""The command `kd` on experiments whose store was made by hand: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from orchestrator.cli import options
from orchestrator.cli.app import main
from orchestrator.cli.serve import serve
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.store import Store
from orchestrator.tracking.ui import Interface
from tests.support.paths import ROOT
from tests.support.world import begin, finish_job, the

YAML = """\
name: toy
store: {store}
data: {{name: digits, train_size: 100}}
teachers:
  models: [resnet8, resnet14]
  recipe: {{epochs: 10}}
students:
  models: resnet8
  seeds: [0, 1]
  methods: [none, kd]
  recipe: {{epochs: 10}}
bank: {{mode: "off"}}
tracking: {{enabled: false}}
"""
HEAVY = ("torch", "ray", "mlflow", "matplotlib", "pandas", "sklearn")


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    path = tmp_path / "toy.yaml"
    path.write_text(YAML.format(store=tmp_path / "store"))
    return str(path)


def opened(file, *sets):
    spec = load(file, sets)
    return make(spec), Store(spec.store)


def complete(file, *sets):
    plan, store = opened(file, *sets)
    for job in plan:
        finish_job(store, job)
    return plan, store


def said(capsys, *arguments, code=0):
    assert main(arguments) == code
    return capsys.readouterr()


def kd(*arguments, **options):
    command = "import sys; from orchestrator.cli.app import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([sys.executable, "-c", command, *arguments], text=True, timeout=60, env=environment, **streams)


def commands(capsys, *above):
    listed = said(capsys, *above, "--help").out.partition("Commands:\n")[2]
    return [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2].isalpha() and ":" not in line]


def test_the_help_of_every_command_shows_how_it_is_used(capsys):
    every = [(name,) for name in commands(capsys) if name != "list"] + [("list", name) for name in commands(capsys, "list")]
    assert len(every) == 14
    for name in every:
        assert f"    kd {' '.join(name)}" in said(capsys, *name, "-h").out


def test_plan_shows_every_job_setting_and_reason(file, capsys):
    plan, store = opened(file)
    finish_job(store, the(plan, "resnet8-s0"), seconds=30)
    begin(store, the(plan, "resnet8 · none · s0"), 4)
    shown = said(capsys, "plan", file).out
    for job in plan:
        assert job.short in shown
    assert "Teachers: 1 done, 1 missing" in shown
    assert "goes on after epoch 4 of 10" in shown
    assert "weight_decay 0.0005" in shown
    assert "milestones [6.25, 7.5, 8.75]" in shown, "defaults that follow from others are written out"
    assert "8 jobs: 1 done, 7 missing" in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_plan_names_the_knob_that_was_changed(file, capsys):
    complete(file)
    shown = said(capsys, "plan", file, "--set", "students.recipe.lr=0.2").out
    assert "recipe.lr is 0.2, done with 0.05 (" in shown
    assert "8 jobs: 4 done, 4 missing" in shown
    assert "Estimated time on" in shown


def test_plan_as_json(file, capsys):
    plan, store = opened(file)
    finish_job(store, the(plan, "resnet8-s0"), seconds=30)
    told = json.loads(said(capsys, "plan", file, "--json", "--set", "teachers.seeds=[0,1]").out)
    states = {job["title"]: job["state"] for job in told["jobs"]}
    assert states["resnet8-s0"] == "done"
    assert states["resnet8-s1"] == "missing"
    [job] = [job for job in told["jobs"] if job["title"] == "resnet8-s1"]
    assert (job["seconds_left"], job["guessed"]) == (pytest.approx(30), False)
    assert len(told["jobs"][0]["key"]) == 64
    assert told["settings"]["data"]["train_size"] == 100
    assert told["counts"] == {"done": 1, "missing": len(told["jobs"]) - 1}


def test_plan_shows_the_critical_path_and_the_time_on_the_machine_that_is_asked_about(file, capsys):
    """With a core for every job it takes as long as the longest chain, and with one core longer."""
    assert "Critical path, by arithmetic: resnet14-s0 → resnet8 · kd · s0." in said(capsys, "plan", file).out
    plan, store = opened(file)
    finish_job(store, the(plan, "resnet8-s0"), seconds=30)
    sets = ("--set", "teachers.seeds=[1,2]")
    shown = said(capsys, "plan", file, *sets).out
    assert "Critical path: resnet14-s1 → resnet8 · kd · s0: " in shown
    assert "~ is guessed, by arithmetic, for" in shown
    assert "Estimated time on" in shown
    told = {cpus: json.loads(said(capsys, "plan", file, "--json", "--cpus", cpus, *sets).out)["estimate"] for cpus in (1, 8)}
    path = told[8]["critical_path"]
    assert path["jobs"][0]["title"] == "resnet14-s1"
    assert told[8]["seconds"] == pytest.approx(path["seconds"])
    assert path == told[1]["critical_path"]
    assert told[1]["seconds"] > 60
    assert (told[8]["cpus"], told[8]["gpus"]) == (8, 0)


def test_plan_says_where_the_machine_is_too_small(file, capsys):
    sets = ("--set", "resources.teacher={cpus: 2, gpus: 1, workers: 3}")
    shown = said(capsys, "plan", file, "--cpus", 4, "--gpus", 1, *sets).out
    assert "resources.teacher asks for 6 CPU cores and 3 GPU: more than 4 CPU cores and 1 GPU;" in shown
    assert "resources.student asks" not in shown
    assert "asks for" not in said(capsys, "plan", file, "--cpus", 6, "--gpus", 3, *sets).out


def test_plan_is_quick_and_imports_nothing_heavy_and_writes_nothing(file, tmp_path):
    script = (
        "import sys, time; began = time.monotonic(); from orchestrator.cli.app import main; main(sys.argv[1:]);"
        f"print([name for name in {HEAVY} if name in sys.modules], time.process_time(), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "plan", file],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    heavy, seconds = done.stderr.rsplit(maxsplit=1)
    assert heavy == "[]"
    assert float(seconds) < 2
    assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]


def test_status(file, capsys):
    plan, store = opened(file)
    finish_job(store, the(plan, "resnet8-s0"))
    begin(store, the(plan, "resnet14-s0"), 4, seconds=2, ago=-5)
    store.fail(the(plan, "resnet8 · none · s1"), {"reason": "the loss diverged in epoch 2: ce = nan"})
    shown = said(capsys, "status", file).out
    assert "no run is at work" in shown
    assert "resnet8 · none · s1: failed, failed last time: the loss diverged in epoch 2: ce = nan" in shown
    with store.lock("run-toy"):
        begin(store, the(plan, "resnet14-s0"), 4, seconds=2, ago=-5)
        shown = said(capsys, "status", file).out
    assert "toy: a run is at work on it" in shown
    assert [line.split()[:4] for line in shown.splitlines() if line.startswith("resnet14-s0")] == [
        ["resnet14-s0", "4/10", "80.0", "%"]
    ]
    assert [line.split() for line in shown.splitlines() if line.startswith("teacher")] == [["teacher", "1", "1"]]


def test_probes_as_table_plot_and_arrow(file, capsys, tmp_path):
    complete(file)
    out = said(capsys, "probes", file, "--plot", str(tmp_path / "p.png"), "--arrow", str(tmp_path / "p.arrow")).out
    assert "resnet14-s0" in out
    assert "70.00" in out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    from orchestrator.store.arrow import read_table

    assert read_table(tmp_path / "p.arrow").num_rows == 6  # two teachers, three layers


def test_probes_before_there_are_any(file, capsys, tmp_path):
    told = said(capsys, "probes", file, "--plot", str(tmp_path / "p.png"), code=1)
    assert told.err == "no teacher of toy has been probed yet\n"


def test_report_to_the_terminal_and_to_a_file(file, capsys, tmp_path):
    complete(file)
    assert said(capsys, "report", file, "--format", "csv").out.count("\n") == 5  # a header and four students
    told = said(capsys, "report", file, "--format", "html", "-o", str(tmp_path / "toy.html"))
    assert (told.out, told.err) == ("", f"wrote {tmp_path / 'toy.html'}\n")
    assert "<table" in (tmp_path / "toy.html").read_text()


def test_lists(capsys):
    assert "gpac" in said(capsys, "list", "methods").out
    of_one = said(capsys, "list", "methods", "gpac").out
    assert "10.1016/j.neunet.2023.04.015" in of_one
    assert [line.split()[:4] for line in of_one.splitlines() if line.startswith("gamma")] == [["gamma", "0.5", ">=", "0"]]
    assert "did you mean 'gpac'" in said(capsys, "list", "methods", "gpak", code=2).err
    assert "0.28 M" in said(capsys, "list", "models").out
    assert "1,438" in said(capsys, "list", "datasets").out
    assert "accuracy@0.05, accuracy@0.1" in said(capsys, "list", "evaluations").out
    of_one = said(capsys, "list", "evaluations", "calibration").out
    assert "Numbers: ece (less is better), nll" in of_one
    assert "bins" in of_one
    assert "did you mean 'robustness'" in said(capsys, "list", "evaluations", "robust", code=2).err


def test_the_schema_is_json(capsys):
    assert json.loads(said(capsys, "schema").out)["properties"].keys() >= {"data", "teachers", "students"}


def test_mistakes_in_the_file_go_to_stderr_all_at_once_with_2(file, capsys):
    Path(file).write_text(Path(file).read_text().replace("epochs: 10", "epochs: 0").replace("kd]", "kdd]"))
    told = said(capsys, "plan", file, code=2)
    assert told.out == ""
    assert len(told.err.splitlines()) == 3  # two recipes and a method
    assert "Traceback" not in told.err


def test_a_wrong_path_suggests_files_near_by(file, capsys):
    assert "did you mean toy.yaml?" in said(capsys, "plan", "toi.yaml", code=2).err
    assert "is a directory" in said(capsys, "plan", ".", code=2).err
    assert "did you mean 'plan'" in said(capsys, "plam", code=2).err.lower()


def test_a_store_that_cannot_be_used_is_the_users_mistake(file, capsys):
    told = said(capsys, "plan", file, "--store", "ftp://there/store", code=2).err
    assert told.startswith("--store ftp://there/store: store: has the scheme ftp://, but a store is a path, ")


def test_what_nobody_expected_is_one_line_and_a_trace_on_request(file, capsys, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("seven")

    monkeypatch.setattr("orchestrator.planning.explain.statuses", broken)
    assert said(capsys, "status", file, code=1).err == "kd: ZeroDivisionError: seven (KD_TRACEBACK=1 shows where)\n"
    monkeypatch.setenv("KD_TRACEBACK", "1")
    assert "in broken" in said(capsys, "status", file, code=1).err


@pytest.mark.parametrize("students", [2, 1500], ids=["small", "more text than is buffered"])
def test_a_pipe_that_closes_is_no_error(file, students):
    read, write = os.pipe()
    os.close(read)
    done = kd("plan", file, "--set", f"students.seeds={list(range(students))}", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_colours_are_for_terminals_alone(file):
    assert "\x1b" not in kd("plan", file).stdout
    assert "\x1b[" in kd("plan", file, env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[3" not in kd("plan", file, env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout


def test_a_narrow_terminal_keeps_keys_whole(file):
    plan, _ = opened(file)
    shown = kd("plan", file, env={"COLUMNS": "60"}).stdout
    assert all(job.short in shown for job in plan)
    assert max(map(len, shown.splitlines())) <= 60


def test_the_same_command_is_told_as_it_must_be_typed():
    told = options.command("ui", Path("my file.yaml"), ["students.seeds=[0, 1]"], "s")
    assert told == "kd ui 'my file.yaml' --store s --set 'students.seeds=[0, 1]'"


def test_a_tracking_server_that_is_there_is_only_named(capsys):
    assert serve(Interface("https://mlflow.example"), 5000) == 0
    assert capsys.readouterr().out == "MLflow is at https://mlflow.example\n"


def test_the_interface_is_served_where_the_port_is_free(capsys):
    ends = Interface(
        "http://127.0.0.1", (sys.executable, "-c", "import os; raise SystemExit(int(os.environ['CODE']))"), {"CODE": "3"}
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(typer.BadParameter, match=f"port {port} .*Address already in use; try --port {port + 1}"):
            serve(ends, port)
    assert serve(ends, port) == 3
