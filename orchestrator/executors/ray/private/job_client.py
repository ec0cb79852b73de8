"""Ray's client of the Jobs API, which by itself would wait for ever: `JobSubmissionClient._do_request`, through which it sends.

Its loggers, and the texts by which its errors differ, are private too. Tested with Ray 2.60.0. Where a later Ray sends
otherwise, requests have no time limit again; where its loggers are named otherwise, it prints more; where its errors read
otherwise, one message is taken for another: a token that is asked for, for one that is refused; a job that is not there, for a
cluster that fails.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from orchestrator.executors.ray.private.settings import ADDRESSES

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

LOGGERS = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk", "ray._private.runtime_env.packaging")


def job_client(address: str, ca: str | None, first_s: float, reply_s: float) -> JobSubmissionClient:
    """A client of the dashboard at an URL, which has answered.

    Args:
        ca: a file of certificates to trust.
        first_s: seconds to connect, each time, and for the first reply.
        reply_s: seconds for a reply later on.

    Raises:
        ray.exceptions.AuthenticationError: where the token is missing or refused; see :func:`token_is_missing`.
        requests.exceptions.RequestException: where nobody answers, or not by that protocol.
        ConnectionError: likewise.
        RuntimeError: where the dashboard is of a Ray that is too old, or answers with an error.
        ValueError: where what answers is no dashboard of Ray's.
        KeyError: likewise.
    """
    import ray.job_submission

    class Client(ray.job_submission.JobSubmissionClient):
        reply_s = first_s

        def _do_request(self, *request: Any, **more: Any) -> Any:
            return super()._do_request(*request, **{"timeout": (first_s, self.reply_s), **more})

    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    put_aside = {name: os.environ.pop(name) for name in ADDRESSES if name in os.environ}
    try:
        client = Client(address, verify=ca or True)
    finally:
        os.environ.update(put_aside)
    client.reply_s = reply_s
    return client


def token_is_missing(error: Exception) -> bool:
    """Whether an AuthenticationError is of a token that was not sent (401), and not of a wrong one (403)."""
    return "required" in str(error).partition(":")[0]


def job_is_missing(error: RuntimeError) -> bool:
    """Whether the client's error is that there is no such job."""
    return "status code 404" in str(error)
