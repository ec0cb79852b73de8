"""`kd gc`."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import complete, printed


def test_gc_shows_and_removes_what_is_asked_for(toy, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    plan, store = complete(toy)
    store.backend.write("quarantine/teacher-x/model.safetensors", b"x" * 2048)
    before = store.backend.tree("")
    shown = printed(capsys, "gc", toy).out.splitlines()
    assert store.backend.tree("") == before
    assert shown[0] == f"What can be removed, of the store {store.location} and of this machine:"
    [row] = [line for line in shown if "corrupt" in line]
    assert row.split()[-5:] == ["1", "2.0", "KiB", "--delete", "quarantine"]
    assert sum("--delete" in line for line in shown) == 1, "how to remove what there is nothing of is not said"
    told = printed(capsys, "gc", toy, "--delete", "quarantine", "--delete", "left").out
    assert "what was corrupt and moved aside: 1 removed, 2.0 KiB" in told
    assert "what killed runs left: 0 removed, 0 B" in told
    assert all(store.find(job.kind, job.key, deep=True) for job in plan)
    assert store.backend.tree("quarantine") == {}


def test_gc_refuses_what_a_run_may_need_and_what_it_cannot_know(toy, capsys, tmp_path):
    _, store = complete(toy, "students.seeds=[0, 1, 2]")
    with store.lock("run-other"):
        told = printed(capsys, "gc", toy, "--delete", "others", code=1).out
    assert "what these experiments do not refer to: not removed, a run of other is at work (process" in told
    assert "2 removed" in printed(capsys, "gc", toy, "--delete", "others").out
    other = tmp_path / "other.yaml"
    other.write_text(Path(toy).read_text().replace(str(store.root), str(tmp_path / "elsewhere")))
    assert "the files name several stores" in printed(capsys, "gc", toy, str(other), code=2).err
    assert "'all' is not one of 'left', 'quarantine'" in printed(capsys, "gc", toy, "--delete", "all", code=2).err
