"""`kd plan`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from orchestrator.cli.time_left import Left
from tests.support.command_line import complete, kd, opened, printed
from tests.support.paths import ROOT
from tests.support.world import begin, finish_job, the

HEAVY = ("torch", "ray", "mlflow", "matplotlib", "pandas", "sklearn")


def test_plan_shows_every_job_setting_and_reason(toy, capsys):
    plan, store = opened(toy)
    finish_job(store, the(plan, "resnet8-s0"), seconds=30)
    begin(store, the(plan, "resnet8 · none · s0"), 4)
    shown = printed(capsys, "plan", toy).out
    for job in plan:
        assert job.short in shown
    assert "Teachers: 1 done, 1 missing" in shown
    assert "goes on after epoch 4 of 10" in shown
    assert "weight_decay 0.0005" in shown
    assert "milestones [6.25, 7.5, 8.75]" in shown, "defaults that follow from others are written out"
    assert "8 jobs: 1 done, 7 missing" in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("data.policy=randaugment", "drawn views have no end, without data.draws"),
        ("students.recipe.mixup=0.2", "mixed images have no end"),
        ("students.recipe.epochs=8", "filling its banks takes 9 views of each image, more than the 8 that 8 epochs see"),
    ],
)
def test_plan_says_why_teachers_are_asked_live(toy, capsys, change, reason):
    banks = ("--set", "bank.mode=auto")
    assert "asked live" not in printed(capsys, "plan", toy, *banks).out
    assert f"asked live  the teachers of 2 students: {reason}" in printed(capsys, "plan", toy, *banks, "--set", change).out


def test_plan_says_what_banks_cost_and_spare_and_proposes_what_would_be_worth_them(toy, capsys):
    """100 images of 9 views, two teachers, and two students of kd; of 10 epochs each pays for itself, of 5 two do together."""
    banks = ("--set", "bank.mode=auto")
    shown = printed(capsys, "plan", toy, *banks).out
    of_banks = "logits of 2 teachers: 38.7 KiB; 1,800 forward passes fill them, in place of 4,000 of 2 students (55 % spared)"
    assert f"banks      {of_banks}\n" in shown
    short = (*banks, "--set", "students.recipe.epochs=5")
    shown = printed(capsys, "plan", toy, *short).out
    assert "banks  " not in shown
    assert "worth it  with bank.shared_by: 2: logits of 2 teachers, 38.7 KiB more; 1,800 forward passes fill them, in" in shown
    found = json.loads(printed(capsys, "plan", toy, "--json", *short).out)["banks"]
    assert found["kept"] is None
    [asked] = found["live"]
    assert (asked["students"], asked["proposal"]["shared_by"]) == (2, 2)
    assert asked["proposal"]["bytes"] == 2 * 9 * 100 * 22
    shared = json.loads(printed(capsys, "plan", toy, "--json", *short, "--set", "bank.shared_by=2").out)["banks"]
    assert (shared["live"], shared["kept"]["forward_passes"]) == ([], 1800)


def test_plan_names_the_knob_that_was_changed(toy, capsys):
    complete(toy)
    shown = printed(capsys, "plan", toy, "--set", "students.recipe.lr=0.2").out
    assert "recipe.lr is 0.2, done with 0.05 (" in shown
    assert "8 jobs: 4 done, 4 missing" in shown
    assert "Estimated time on" in shown


def test_plan_as_json(toy, capsys):
    plan, store = opened(toy)
    finish_job(store, the(plan, "resnet8-s0"), seconds=30)
    output = json.loads(printed(capsys, "plan", toy, "--json", "--set", "teachers.seeds=[0,1]").out)
    states = {job["title"]: job["state"] for job in output["jobs"]}
    assert states["resnet8-s0"] == "done"
    assert states["resnet8-s1"] == "missing"
    [job] = [job for job in output["jobs"] if job["title"] == "resnet8-s1"]
    assert (job["seconds_left"], job["guessed"]) == (pytest.approx(30), False)
    assert len(output["jobs"][0]["key"]) == 64
    assert output["settings"]["data"]["train_size"] == 100
    assert output["counts"] == {"done": 1, "missing": len(output["jobs"]) - 1}


def test_plan_shows_the_critical_path_and_the_time_on_the_machine_that_is_asked_about(toy, capsys):
    """With a core for every job it takes as long as the longest chain, and with one core longer."""
    assert "Critical path, by arithmetic: resnet14-s0 → resnet8 · kd · s0." in printed(capsys, "plan", toy).out
    plan, store = opened(toy)
    finish_job(store, the(plan, "resnet8-s0"), seconds=30)
    sets = ("--set", "teachers.seeds=[1,2]")
    shown = printed(capsys, "plan", toy, *sets).out
    assert "Critical path: resnet14-s1 → resnet8 · kd · s0: " in shown
    assert "~ is guessed, by arithmetic, for" in shown
    assert "Estimated time on" in shown
    estimates = {
        cpus: json.loads(printed(capsys, "plan", toy, "--json", "--cpus", cpus, *sets).out)["estimate"] for cpus in (1, 8)
    }
    path = estimates[8]["critical_path"]
    assert path["jobs"][0]["title"] == "resnet14-s1"
    assert estimates[8]["seconds"] == pytest.approx(path["seconds"])
    assert path == estimates[1]["critical_path"]
    assert estimates[1]["seconds"] > 60
    assert (estimates[8]["cpus"], estimates[8]["gpus"]) == (8, 0)
    start = estimates[8]["start"]
    shown = printed(capsys, "plan", toy, "--cpus", 8, *sets).out
    whole = Left(*(estimates[8][end] + start[end] for end in ("low", "high")))
    assert f"with the start of Ray and its workers: {whole}" in shown


def test_plan_says_where_the_machine_is_too_small(toy, capsys):
    sets = ("--set", "resources.teacher={cpus: 2, gpus: 1, workers: 3}")
    shown = printed(capsys, "plan", toy, "--cpus", 4, "--gpus", 1, *sets).out
    assert "resources.teacher asks for 6 CPU cores and 3 GPU: more than 4 CPU cores and 1 GPU;" in shown
    assert "resources.student asks" not in shown
    assert "asks for" not in printed(capsys, "plan", toy, "--cpus", 6, "--gpus", 3, *sets).out


def test_plan_is_quick_and_imports_nothing_heavy_and_writes_nothing(toy, tmp_path):
    script = (
        "import sys, time; began = time.monotonic(); from orchestrator.cli.app import main; main(sys.argv[1:]);"
        f"print([name for name in {HEAVY} if name in sys.modules], time.process_time(), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "plan", toy],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    heavy, seconds = done.stderr.rsplit(maxsplit=1)
    assert heavy == "[]"
    assert float(seconds) < 2
    assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]


def test_a_narrow_terminal_keeps_keys_whole(toy):
    plan, _ = opened(toy)
    shown = kd("plan", toy, env={"COLUMNS": "60"}).stdout
    assert all(job.short in shown for job in plan)
    assert max(map(len, shown.splitlines())) <= 60


def test_of_many_jobs_a_line_for_each_cell_and_all_on_demand(toy, capsys):
    many = ("--set", f"students.seeds={list(range(30))}")
    plan, store = opened(toy, *many[1:])
    for seed in (0, 1):
        finish_job(store, the(plan, f"resnet8 · none · s{seed}"), seconds=60)
    begin(store, the(plan, "resnet8 · none · s2"), 4)
    shown = printed(capsys, "plan", toy, *many).out
    lines = [line.split() for line in shown.splitlines()]
    assert ["cell", "jobs", "done", "missing", "left", "why"] in lines
    [none] = [line for line in lines if line[:3] == ["resnet8", "·", "none"]]
    assert none[3:6] == ["30", "2", "28"]
    assert " ".join(none[7:]) == "never run (27 of 30)"
    assert none[6] == "27:12"  # 27 of a minute, and 6 epochs of two seconds
    assert "--all shows every job" in shown
    assert the(plan, "resnet8 · kd · s7").short not in shown
    every = printed(capsys, "plan", toy, *many, "--all").out
    assert all(job.short in every for job in plan)
    assert "--all" not in every


def test_the_time_is_a_range_and_at_least_what_is_known_where_something_is_not(toy, capsys):
    plan, store = opened(toy)
    finish_job(store, the(plan, "resnet8-s0"), seconds=20)
    shown = printed(capsys, "plan", toy, "--cpus", "1").out
    assert "Estimated time on 1 CPU core, with the start of Ray and its workers: " in shown
    assert re.search(r": \d+ to \d+ min; ~ is guessed, by arithmetic, for 7 jobs\.", shown)
    longer = ("--set", "students.recipe.epochs=5000", "--cpus", "1")
    shown = printed(capsys, "plan", toy, *longer).out
    assert re.search(r": at least \d+ s; ~ .*; nothing like 4 jobs was measured long enough to tell more\.", shown)
    output = json.loads(printed(capsys, "plan", toy, *longer, "--json").out)["estimate"]
    assert output["high"] is None
    assert output["low"] < output["seconds"]
