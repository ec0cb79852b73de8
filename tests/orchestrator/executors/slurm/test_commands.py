"""Slurm's commands, pretended: what is passed on to them and what of their answers."""

from __future__ import annotations

import pytest

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.slurm import commands
from orchestrator.executors.slurm.commands import call, submit

SCRIPT = "#!/bin/bash\n#SBATCH --partition=gpu\n#SBATCH --time=5\n#SBATCH --exclusive\n"


def test_a_job_s_id_also_where_there_are_several_clusters(pretended):
    pretended("sbatch", "echo '4711;cluster-b'")
    assert submit(SCRIPT) == "4711"


def test_the_script_is_what_sbatch_reads(pretended, tmp_path):
    pretended("sbatch", f"/bin/cat > {tmp_path}/read; echo 1")
    submit(SCRIPT)
    assert (tmp_path / "read").read_text() == SCRIPT


def test_variables_that_would_overrule_the_script_are_not_passed_on_and_others_are(pretended, monkeypatch, tmp_path):
    for name in ("SBATCH_PARTITION", "SBATCH_TIMELIMIT", "SBATCH_EXCLUSIVE", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "x")
    pretended("sbatch", f"set | /bin/grep ^SBATCH_ > {tmp_path}/variables; echo 1")
    submit(SCRIPT)
    assert (tmp_path / "variables").read_text().split("=")[0] == "SBATCH_ACCOUNT"


def test_a_refusal_is_told_in_slurm_s_words(pretended):
    pretended("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    with pytest.raises(CannotRun, match="Slurm refuses it: sbatch: error: invalid partition specified: gpu"):
        submit(SCRIPT)


def test_no_slurm_and_one_that_does_not_answer(pretended, monkeypatch):
    with pytest.raises(CannotRun, match="there is no `sinfo` here"):
        call("sinfo")
    pretended("sinfo", "exec /bin/sleep 5")
    monkeypatch.setattr(commands, "ANSWER_S", 0.1)
    with pytest.raises(CannotRun, match=r"has not answered for 0\.1 s"):
        call("sinfo")
