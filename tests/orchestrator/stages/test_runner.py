"""What a job's process is like, and what it leaves where it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pytest
import threadpoolctl
import torch

from orchestrator.executors.memory_retry import TIMES, larger_allocation
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.stages.runner import JobFailed, OutOfMemory, Runtime, describe, ran_out, run_job
from orchestrator.store.store import Store
from tests.support import pretend
from tests.support.paths import ROOT


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", torch.cuda.is_available)
    monkeypatch.setitem(KINDS, pretend.KIND, None)
    pretend.install()
    return Runtime(Store(tmp_path / "store").root, gpus=0.25)


def a_job(tmp_path, **config):
    return Job(pretend.KIND, 1, {"diary": str(tmp_path / "diary"), **config}, {}, "it")


@pytest.mark.parametrize("typed", [True, False])
def test_running_out_of_gpu_memory_is_told_from_other_failures(tmp_path, runtime, typed):
    job = a_job(tmp_path, needs=1, typed=typed)
    with pytest.raises(OutOfMemory, match=r"out of GPU memory with 0\.25 GPU") as error:
        run_job(job, runtime)
    assert str(error.value) == ("out of GPU memory with 0.25 GPU (CUDA out of memory); a smaller batch_size takes less"), (
        "the first sentence of torch's many"
    )
    assert Store(runtime.store).failure(job)["reason"] == str(error.value)
    bigger = larger_allocation(larger_allocation(runtime))
    with pytest.raises(OutOfMemory, match=r"with 0\.25, then 0\.5, then 0\.9 GPU"):
        run_job(job, Runtime(runtime.store, gpus=0.9, too_small=bigger.too_small))


def test_a_manifest_remembers_the_share_and_how_often_memory_ran_out(tmp_path, runtime):
    job = a_job(tmp_path, needs=0.5)
    with pytest.raises(OutOfMemory):
        run_job(job, runtime)
    run_job(job, larger_allocation(runtime))
    manifest = Store(runtime.store).entry(job.kind, job.key).manifest
    taken = dict(manifest["resources"])
    assert 2**20 < taken.pop("peak_memory") < 2**40
    assert taken == {"cpus": 1, "gpus": 0.5, "workers": 1, "out_of_memory": 1}
    assert Store(runtime.store).failure(job) == {}


def test_what_a_worker_left_that_was_killed_after_its_commit_is_swept_by_who_comes_next(tmp_path, runtime, monkeypatch):
    """Also of a trial, which is in no plan, so that no driver looks for it."""
    job, store = a_job(tmp_path, needs=0), Store(runtime.store)
    with monkeypatch.context() as killed:
        killed.setattr(Store, "clear", lambda *_: (_ for _ in ()).throw(SystemExit(9)))
        with pytest.raises(SystemExit):
            run_job(job, runtime)
    assert store.find(job.kind, job.key)
    assert list(store.leftovers()) != []
    assert run_job(job, runtime) is False
    assert list(store.leftovers()) == []


def test_a_worker_that_cannot_use_the_store_fails_its_job_and_says_why(tmp_path, runtime, monkeypatch):
    """A full disk, an object store that is away: executors know what to do with a job that failed, and with nothing else."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JobFailed, match="Not a directory"):
        run_job(a_job(tmp_path), replace(runtime, store=f"{tmp_path}/file/store"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with pytest.raises(JobFailed, match=r"127\.0\.0\.1:1 does not answer"):
        run_job(a_job(tmp_path), replace(runtime, store="s3://bucket/store?scheme=http&endpoint_override=127.0.0.1:1"))


@pytest.mark.parametrize(
    ("gpus", "shares"), [(0.25, [0.5, 1]), (0.1, [0.2, 0.4]), (0.5, [1]), (0.75, [1]), (1, []), (2, []), (0, [])]
)
def test_a_share_is_doubled_twice_at_most_and_never_beyond_one_gpu(gpus, shares):
    runtime, found = Runtime(None, gpus=gpus), []
    while runtime := larger_allocation(runtime):
        found.append(runtime.gpus)
        assert len(runtime.too_small) == len(found) <= TIMES
    assert found == shares


def test_what_is_no_lack_of_gpu_memory():
    assert not ran_out(MemoryError())
    assert not ran_out(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes"))
    assert not ran_out(ValueError("CUDA out of memory"))
    assert ran_out(RuntimeError("CUDA error: out of memory"))
    assert ran_out(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))


def test_another_failure_is_not_retried_with_more(tmp_path, runtime):
    with pytest.raises(JobFailed) as error:
        run_job(a_job(tmp_path, seconds="many"), runtime)
    assert type(error.value) is JobFailed


def counted() -> dict[str, int]:
    pools = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    return {"torch": torch.get_num_threads(), "arrow": pa.cpu_count(), **pools}


def test_a_process_without_torch_says_that_it_imports_it(tmp_path, runtime):
    script = f"""
from orchestrator.jobs.job import Job
from orchestrator.stages.runner import Runtime, run_job
job = Job("probe", 1, {{}}, {{"teachers": ["0" * 64]}}, "x")
try:
    run_job(job, Runtime({str(tmp_path)!r}), lambda progress: print(progress.get("doing", "-")))
except RuntimeError:
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == "importing torch\n-\n"


@pytest.mark.parametrize("cpus", [1, 3])
def test_every_pool_of_threads_follows_the_share_and_is_put_back(tmp_path, runtime, monkeypatch, cpus):
    import sklearn.linear_model  # noqa: F401  all that jobs compute with is loaded

    torch.set_num_threads(2)
    before, seen = counted(), {}

    def run(job, context):
        seen.update(counted())
        return {}

    monkeypatch.setattr(pretend, "run", run)
    run_job(a_job(tmp_path), replace(runtime, cpus=cpus))
    assert set(seen.values()) == {cpus}
    assert len(seen) >= 4, "torch, Arrow, and at least a BLAS and an OpenMP"
    assert counted() == before


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            OSError(28, "No space left on device", "/s/work/a/.progress.json.0123abcd"),
            "No space left on device: /s/work/a/progress.json",
        ),
        (OSError(28, "No space left on device", "/s/a/model.safetensors"), "No space left on device: /s/a/model.safetensors"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "out of main memory (MemoryError)"),
        (RuntimeError("std::bad_alloc"), "out of main memory (std::bad_alloc)"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0.\nDefaultCPUAllocator: can't allocate memory: 10 bytes"),
            "out of main memory (DefaultCPUAllocator: can't allocate memory: 10 bytes)",
        ),
    ],
)
def test_reasons_say_what_a_user_understands(tmp_path, error, reason):
    assert describe(error, Runtime(str(tmp_path)))["reason"] == reason
