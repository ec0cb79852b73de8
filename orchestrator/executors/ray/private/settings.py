"""Settings that Ray reads from the environment, most of which its documentation does not name.

Tested with Ray 2.60.0. A later Ray that does not know one does without it: it prints more, or is slower to see a dead worker.
Two are more than that: without JOB_STOP a stopped job has 3 s to leave everything in order, and without ADDRESSES an address of
the user's own environment would still be put aside, for nothing.
"""

from __future__ import annotations

CLUSTER = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # Tune's thread would start a cluster of its own when ours goes down under it
    "TUNE_DISABLE_AUTO_INIT": "1",  # an init without address joined whatever cluster a shared file named
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "10",
}
TRAIN = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # between two health checks of the workers; a dead one is seen at once
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
JOB_STOP = "RAY_JOB_STOP_WAIT_TIME_S"  # of a job's own environment: seconds between being asked to end and being killed
ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # the client of jobs takes these for the address that it is given
