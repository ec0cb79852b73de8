"""Jobs of a cluster elsewhere, through Ray's Jobs API: send, follow, stop."""

from __future__ import annotations

import asyncio
import shlex
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.ray.auth import HOW, use_token
from orchestrator.executors.ray.private.job_client import job_client, job_is_missing, token_is_missing
from orchestrator.executors.ray.private.settings import JOB_STOP

FIRST_S = 10  # for a first answer
REPLY_S = 120  # for a reply later on
LOST_S = 60  # how long a cluster may be out of reach while a job is followed
STOP_S = 60  # for a job to end that is asked to; then Ray kills it
STOPPED_S = STOP_S + 30  # for Ray to report that it has ended
TRIES = 5  # at the output of a job that has ended
PAUSE_S = 0.5


class Unreachable(RuntimeError):
    """The cluster has answered before, and does not now. Its jobs may well go on."""


@dataclass(frozen=True)
class Ending:
    """How a job ended."""

    status: str  # SUCCEEDED, FAILED or STOPPED
    code: int | None  # exit code of its command, where that was run to its end
    message: str  # Ray's own


class Jobs:
    """The jobs of the cluster whose dashboard is at ``address``; ``ca`` is a file of certificates to trust for https.

    Raises:
        CannotRun: where nobody answers there within FIRST_S, or it is not Ray, or our token or its certificate is refused.
    """

    def __init__(self, address: str, ca: str | None = None) -> None:
        where = urlsplit(address)
        if where.scheme not in ("http", "https") or not where.hostname or "@" in where.netloc:
            raise CannotRun(
                "--address must be http://HOST:PORT or https://HOST:PORT of the cluster's dashboard, without a password"
            )
        if ca and not Path(ca).is_file():
            raise CannotRun(f"--ca {ca}: no such file")
        self.address = address.rstrip("/")
        use_token()
        import requests
        from ray.exceptions import AuthenticationError

        try:
            self._client = job_client(self.address, ca, FIRST_S, REPLY_S)
        except AuthenticationError as error:
            raise self._refused(error) from None
        except (requests.exceptions.HTTPError, ValueError, KeyError):  # a page that is not Ray's
            raise CannotRun(f"what answers at {self.address} is no Ray dashboard") from None
        except (requests.exceptions.RequestException, ConnectionError) as error:
            cause = _root(error)
            if isinstance(cause, ssl.SSLError):
                message = (
                    f"the certificate of {self.address} is not trusted: {cause.strerror}; --ca FILE has one that vouches for it"
                )
            else:
                message = f"no Ray dashboard answers at {self.address}: {_reason(error)}"
            raise CannotRun(message) from None
        except RuntimeError as error:
            raise CannotRun(f"what answers at {self.address} is no Ray dashboard that we can use: {_reason(error)}") from None

    def submit(self, folder: Path, command: Sequence[str], name: str, environment: dict[str, str]) -> str:
        """Send a folder, and run a command in it on the head node. Returns the job's id.

        Raises:
            CannotRun: where the cluster refuses our token.
            Unreachable: where it does not answer any more.
        """
        job: str = self._request(
            self._client.submit_job,
            entrypoint=shlex.join(command),
            submission_id=f"kd-{name}-{uuid.uuid4().hex[:8]}",
            # read by Ray where it stops the job, which would otherwise have 3 s to leave everything in order
            runtime_env={"working_dir": str(folder), "env_vars": {JOB_STOP: str(STOP_S), **environment}},
            metadata={"experiment": name},
        )
        return job

    def follow(self, job: str, write: Callable[[str], object]) -> Ending:
        """Hand over what the job prints, from its beginning on, until it has ended.

        Raises:
            CannotRun: where there is no such job.
            Unreachable: where the cluster has not answered for LOST_S.
        """
        printed, answered, lost = 0, time.monotonic(), 0
        while True:
            printed, whole = asyncio.run(self._tail(job, printed, write))
            try:
                ending = self.ending(job)
            except Unreachable:
                if time.monotonic() - answered > LOST_S:
                    raise
            else:
                answered = time.monotonic()
                lost += not whole
                if ending and (whole or lost > TRIES):
                    return ending
            time.sleep(PAUSE_S)

    def stop(self, job: str) -> Ending:
        """Ask a job to end, as Ctrl-C would, and wait until it has.

        Raises:
            CannotRun: where there is no such job.
            Unreachable: where the cluster does not answer, or the job has not ended after STOPPED_S.
        """
        self._request(self._client.stop_job, job)
        until = time.monotonic() + STOPPED_S
        while not (ending := self.ending(job)):
            if time.monotonic() > until:
                raise Unreachable(f"{job} was asked to end and has not after {STOPPED_S} s")
            time.sleep(PAUSE_S)
        return ending

    def ending(self, job: str) -> Ending | None:
        """How the job ended; None where it has not.

        Raises:
            CannotRun: where there is no such job.
            Unreachable: where the cluster does not answer.
        """
        info = self._request(self._client.get_job_info, job)
        if not info.status.is_terminal():
            return None
        return Ending(info.status.value, info.driver_exit_code, info.message or "")

    async def _tail(self, job: str, skip: int, write: Callable[[str], object]) -> tuple[int, bool]:
        """Hand over the job's output from character ``skip`` on. How many characters there were, and whether that is all."""
        import aiohttp

        received = 0
        try:
            async for text in self._client.tail_job_logs(job):
                if new := text[max(0, skip - received) :]:
                    write(new)
                received += len(text)
        except (aiohttp.ClientError, RuntimeError, OSError):  # whatever it is, the caller looks again
            return max(received, skip), False
        return max(received, skip), True

    def _request(self, call: Callable[..., object], *arguments: object, **options: object) -> Any:
        """What the client answers; its errors as ours.

        Raises:
            CannotRun: where the cluster refuses our token, or has no such job.
            Unreachable: where it does not answer, or fails.
        """
        import requests
        from ray.exceptions import AuthenticationError

        try:
            return call(*arguments, **options)
        except AuthenticationError as error:
            raise self._refused(error) from None
        except (requests.exceptions.RequestException, ConnectionError) as error:
            raise Unreachable(f"{self.address} does not answer any more: {_reason(error)}") from None
        except RuntimeError as error:
            if job_is_missing(error):
                raise CannotRun(f"there is no job {arguments[0]} at {self.address}") from None
            raise Unreachable(f"{self.address}: {_reason(error)}") from None

    def _refused(self, error: Exception) -> CannotRun:
        if token_is_missing(error):
            return CannotRun(f"the cluster at {self.address} asks for its token: {HOW}")
        return CannotRun(f"the cluster at {self.address} does not accept our token: {HOW}")


def _reason(error: BaseException) -> str:
    """The innermost cause, on one line: the error of requests has five layers."""
    cause = _root(error)
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return (text.strip().splitlines() or [type(cause).__name__])[0]


def _root(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error
