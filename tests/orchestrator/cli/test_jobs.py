"""`kd logs`, `kd show`, `kd diff`, and what a shell completes."""

from __future__ import annotations

import json

import pytest

from orchestrator.store.logs import Log, log_folder
from tests.support.command_line import complete, kd, opened, printed
from tests.support.world import begin, finish_job, the

KD = "resnet8 · kd · s0"


def keep_log(store, job, text, attempt="0123456789ab"):
    log = Log(store.backend, log_folder(job.kind, job.key), attempt)
    log.add(text)
    log.flush()


def test_the_log_of_a_job(toy, capsys):
    plan, store = opened(toy)
    job = the(plan, KD)
    keep_log(store, job, "the first attempt", "000000000000")
    keep_log(store, job, "an escape: \x1b[31m", "111111111111")
    last = printed(capsys, "logs", toy, "resnet8/kd/s0").out
    assert last.startswith("attempt 2 of 2, 111111111111, begun 2")
    assert last.splitlines()[1].endswith(" an escape: \\x1b[31m")
    every = printed(capsys, "logs", toy, job.short, "--all").out
    assert "the first attempt" in every
    assert every.endswith(last)


def test_a_failure_that_no_log_tells(toy, capsys):
    plan, store = opened(toy)
    job = the(plan, KD)
    keep_log(store, job, "begins")
    store.fail(job, {"reason": "its worker died 3 times"})
    assert printed(capsys, "logs", toy, KD).out.endswith(" begins\n\nfailed: its worker died 3 times\n")
    keep_log(store, job, "ValueError: its worker died 3 times", "ffffffffffff")
    assert "failed:" not in printed(capsys, "logs", toy, KD).out


def test_following_shows_what_comes_and_ends_with_the_job(toy, capsys, monkeypatch):
    plan, store = opened(toy)
    job = the(plan, KD)
    keep_log(store, job, "one")
    lock = store.lock_job(job)
    lock.__enter__()

    def goes_on(seconds):
        keep = store.logs(job)[0]
        store.backend.write(keep.name, (keep.text + "00:00:00 two\n").encode())
        lock.__exit__(None, None, None)

    monkeypatch.setattr("orchestrator.cli.logs.time.sleep", goes_on)
    lines = printed(capsys, "logs", toy, KD, "--follow").out.splitlines()
    assert [line[9:] for line in lines[1:]] == ["one", "two"]


def test_nothing_was_kept(toy, capsys):
    assert "Nothing was kept of resnet8 · kd · s0" in printed(capsys, "logs", toy, KD, code=1).err


@pytest.mark.parametrize("command", [("logs",), ("show",), ("diff", KD)])
def test_an_unknown_job_ends_with_2_and_the_nearest(toy, capsys, command):
    name, *others = command
    error = printed(capsys, name, toy, *others, "resnet8/kd/s7", code=2).err
    assert error.startswith("no job is called resnet8/kd/s7; near are: resnet8 · kd · s1, ")


def test_all_of_a_job_that_is_done(toy, capsys):
    plan, store = complete(toy)
    job = the(plan, KD)
    shown = printed(capsys, "show", toy, KD).out
    for text in (
        f"{KD}: student, done",
        job.key,
        "teachers  resnet8-s0 (",
        "method.knobs.temperature  4",
        "model.safetensors  7 B",
    ):
        assert text in shown
    assert f"in                 {store.location}/student/{job.key}/" in shown
    assert "torch " in shown
    teacher = printed(capsys, "show", toy, "resnet8-s0").out
    assert "needed by" in teacher
    assert "probes of resnet8-s0, resnet8 · kd · s0, resnet8 · kd · s1" in teacher
    output = json.loads(printed(capsys, "show", toy, KD, "--json").out)
    assert (output["key"], output["state"]) == (job.key, "done")
    assert output["results"]["test_accuracy"] == 0.9
    assert output["needed_by"] == []


def test_all_of_jobs_that_are_not_done(toy, capsys):
    plan, store = opened(toy)
    begin(store, the(plan, "resnet8-s0"), 4)
    store.fail(the(plan, KD), {"reason": "no luck"})
    assert "why  goes on after epoch 4 of 10" in printed(capsys, "show", toy, "resnet8-s0").out.replace("        ", "  ")
    failed = printed(capsys, "show", toy, KD).out
    assert "failed last time: no luck" in failed
    assert "results" not in failed
    assert json.loads(printed(capsys, "show", toy, KD, "--json").out)["folder"] is None


def test_why_two_jobs_are_not_the_same(toy, tmp_path, capsys):
    plan, _ = opened(toy)
    seeds = printed(capsys, "diff", toy, KD, "resnet8 · kd · s1").out.splitlines()
    assert seeds[0] == f"{KD} ({the(plan, KD).short}) and resnet8 · kd · s1 ({the(plan, 'resnet8 · kd · s1').short})"
    assert [line.split() for line in seeds[1:]] == [["setting", "first", "second"], ["seed", "0", "1"]]
    assert "They are the same job" in printed(capsys, "diff", toy, KD, KD).out
    other = tmp_path / "other.yaml"
    other.write_text((tmp_path / "toy.yaml").read_text().replace("[resnet8, resnet14]", "[resnet8, resnet20]"))
    shown = printed(capsys, "diff", toy, KD, "--with", str(other)).out
    assert "by themselves they are the same" in shown
    assert shown.splitlines()[2].startswith("teachers 2: resnet14-s0 (")
    assert ["model", "resnet14", "resnet20"] in [line.split() for line in shown.splitlines()]
    assert "name the other job" in printed(capsys, "diff", toy, KD, code=2).err


def test_a_diff_with_what_is_in_the_store_beside_the_plan(toy, capsys):
    plan, store = opened(toy, "students.recipe.lr=0.2")
    before = the(plan, KD)
    finish_job(store, before)
    lines = printed(capsys, "diff", toy, KD, before.short).out.splitlines()
    assert lines[2].split() == ["recipe.lr", "0.05", "0.2"]


@pytest.mark.parametrize(
    ("line", "word", "completed"),
    [
        ("kd logs toy.yaml resnet8/", 3, ["resnet8/none/s0", "resnet8/none/s1", "resnet8/kd/s0", "resnet8/kd/s1"]),
        ("kd show toy.yaml probes", 3, ["probes/of/resnet8-s0", "probes/of/resnet14-s0"]),
        ("kd diff toy.yaml resnet8/kd/s0 resnet14", 4, ["resnet14-s0"]),
        ("kd logs toy.yaml --set students.seeds=5 resnet8/k", 5, ["resnet8/kd/s5"]),
        ("kd logs nothing.yaml resnet8/", 3, []),
        ("kd list methods gp", 3, ["gpac"]),
        ("kd list published --student resnet8x", 4, ["resnet8x4"]),
    ],
)
def test_a_shell_completes(toy, line, word, completed):
    done = kd(env={"_KD_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(word)})
    found = done.stdout.split()
    assert [name for name in found if name in completed] == completed
    assert bool(found) == bool(completed), done
