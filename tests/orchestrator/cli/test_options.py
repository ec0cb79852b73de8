"""What the commands have in common."""

from __future__ import annotations

from tests.support.command_line import printed


def test_a_wrong_path_suggests_files_near_by(toy, capsys):
    assert "did you mean toy.yaml?" in printed(capsys, "plan", "toi.yaml", code=2).err
    assert "is a directory" in printed(capsys, "plan", ".", code=2).err
    assert "did you mean 'plan'" in printed(capsys, "plam", code=2).err.lower()


def test_a_store_that_cannot_be_used_is_the_users_mistake(toy, capsys):
    output = printed(capsys, "plan", toy, "--store", "ftp://there/store", code=2).err
    assert output.startswith("--store ftp://there/store: store: has the scheme ftp://, but a store is a path, ")
