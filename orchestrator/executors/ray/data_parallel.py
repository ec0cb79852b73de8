"""A teacher that several workers train together. Ray Train places them and connects them; all else is our own.

Ray Train keeps no checkpoint, no result and no retry of ours: the first worker writes to the store as any job does, and where
a worker dies, all of them are begun anew from the newest checkpoint there.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import ray

from kd_core.distributed import Group
from orchestrator.executors.ray.private import settings
from orchestrator.executors.ray.remote_error import last_line, times
from orchestrator.executors.ray.report import Report
from orchestrator.jobs.job import Job
from orchestrator.stages.runner import JobFailed, RunsElsewhere, Runtime, do_job, follow_job, working_on
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store

ANSWER_S = 600  # longest wait of a worker for the others


def share_job(config: dict[str, Any]) -> None:
    """What each worker does, in a process that Ray Train has connected with the others."""
    job, runtime = config["job"], config["runtime"]
    if Group.here().leads:
        do_job(job, runtime)
    else:
        follow_job(job, runtime)


class DataParallel:
    """Watches over the workers of one job. It computes nothing itself, and takes no share."""

    def run(self, job: Job, runtime: Runtime, max_failures: int) -> Report:
        """How the job ended; begun again where a worker died, so often at most."""
        try:
            with working_on(job, runtime):
                return self._run(job, runtime, max_failures)
        except RunsElsewhere as elsewhere:
            return Report(elsewhere=str(elsewhere))
        except (JobFailed, CorruptEntry) as failure:
            return Report(str(failure))

    def _run(self, job: Job, runtime: Runtime, max_failures: int) -> Report:
        store = Store(runtime.store)
        if store.find(job.kind, job.key):
            return Report(computed=False)
        for _ in range(max_failures + 1):
            problem = self._train(job, runtime)
            if store.find(job.kind, job.key):
                return Report()
            if failure := store.failure(job):
                return Report(failure["reason"])
        return Report(f"a worker of {runtime.workers} died {times(max_failures + 1)}({problem})")

    def _train(self, job: Job, runtime: Runtime) -> str:
        """Run the workers to their end; Ray Train's error where that was not a good one."""
        os.environ.update(settings.TRAIN)
        from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
        from ray.train.torch import TorchConfig, TorchTrainer

        gpu = {"GPU": runtime.gpus} if runtime.gpus else {}
        with tempfile.TemporaryDirectory(prefix="kd-train-") as folder:  # Ray Train wants one and has nothing to put there
            trainer = TorchTrainer(
                share_job,
                train_loop_config={"job": job, "runtime": runtime},
                torch_config=TorchConfig("nccl" if gpu else "gloo", timeout_s=ANSWER_S),
                scaling_config=ScalingConfig(
                    num_workers=runtime.workers, use_gpu=bool(gpu), resources_per_worker={"CPU": runtime.cpus, **gpu}
                ),
                run_config=RunConfig(name=job.short, storage_path=folder, failure_config=FailureConfig(max_failures=0)),
            )
            try:
                trainer.fit()
            except TrainingFailedError as error:
                return last_line(error)
        return "they ended without a result"


RemoteDataParallel = ray.remote(DataParallel)
