"""`kd schema`."""

from __future__ import annotations

import json

from tests.support.command_line import printed


def test_the_schema_is_json(capsys):
    assert json.loads(printed(capsys, "schema").out)["properties"].keys() >= {"data", "teachers", "students"}
