"""For every law an entry that breaks it: `kd check` must tell that law, in the entry's file, at a line of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestrator.cli
from kd_core.laws.check import LAWS, verdicts
from kd_core.plugins.find import read
from kd_core.plugins.run import load

TEMPLATES = Path(orchestrator.cli.__file__).parent / "templates"
FORWARD = "        distances = []\n"
STEP = "        return Loss(\n"

UNSEEDED = """\
        import os

        import torch

        with torch.random.fork_rng():
            torch.manual_seed(int.from_bytes(os.urandom(4), "big"))
            self.fc.reset_parameters()
"""

# of a template: by law, what is written otherwise
METHODS = {
    "documented": [],  # the docstring is taken out
    "frozen": [
        ("    @dataclass(frozen=True)\n", "    @dataclass\n"),
        ("class Config(Knobs)", "class Config(Loose)"),
        ("class Mine", "class Loose:\n    space = classmethod(lambda cls: {})\n\n\nclass Mine"),
    ],
    "bounded": [
        ('beta: float = knob(1.0, "weight of the embedding loss", low=0, search=LogUniform(0.1, 100))', "beta: float = 1.0")
    ],
    "searchable": [("LogUniform(0.1, 100)", "LogUniform(2, 100)")],
    "needs": [("frozenset({Need.EMBEDDING})", '{"embedding"}')],
    "terms": [("torch.stack(distances).mean()", "torch.stack(distances)")],
    "gradient": [("torch.stack(distances).mean()", "torch.stack(distances).mean().detach()")],
    "parameters": [
        ("        distances = []\n", "        distances = []\n        self.own.requires_grad_(True)\n"),
        ("for teacher in setting.teachers)", "for teacher in (*setting.teachers, setting.student))"),
        ("strict=True", "strict=False"),
    ],
    "teachers": [(FORWARD, FORWARD + "        teachers[0].embedding_BD.mul_(2)\n")],
    "inputs": [(FORWARD, FORWARD + "        student.embedding_BD.data.mul_(2)\n")],
    "softened": [
        ("frozenset({Need.EMBEDDING})", "frozenset({Need.EMBEDDING, Need.LOGITS})"),
        (
            "    def forward(",
            "    @staticmethod\n    def softened(config):\n        return 4.0\n\n    def forward(",
        ),
        ("torch.stack(distances).mean()", "torch.stack(distances).mean() * teachers[0].logits_BK.mean()"),
    ],
    "same again": [
        ("\n\nclass Mine", "\nasked = []\n\n\nclass Mine"),
        (FORWARD, FORWARD + "        asked.append(1)\n"),
        ("torch.stack(distances).mean()", "torch.stack(distances).mean() * len(asked)"),
    ],
    "order of teachers": [("torch.stack(distances).mean()", "torch.stack(distances)[0]")],
    "order of samples": [(".square().sum(1).mean()", ".square().sum(1)[0]")],
    "tokens": [(FORWARD, FORWARD + "        student.features[0].mean((2, 3))\n")],
    "least at the teacher": [
        ("zip(teachers, self.own.children(), strict=True)", "((each, abs) for each in teachers)"),
        ("        self.own = nn.ModuleList", "        _ = nn.ModuleList"),
        ("adapter(student.embedding_BD)", "student.embedding_BD"),
        ("torch.stack(distances).mean()", "-torch.stack(distances).mean()"),
    ],
    "one sample": [("adapter(student.embedding_BD)", "adapter(student.embedding_BD) / student.embedding_BD.std(0).mean()")],
    "needs cover": [
        ("torch.stack(distances).mean()", "torch.stack(distances).mean() * (1 + sum(len(each.features) for each in teachers))")
    ],
    "random state": [(FORWARD, FORWARD + "        torch.rand(1)\n")],
    "resumed": [
        (FORWARD, FORWARD + "        self.count = getattr(self, 'count', 0) + 1\n"),
        ("torch.stack(distances).mean()", "torch.stack(distances).mean() * self.count"),
    ],
    "device": [(FORWARD, FORWARD + "        float(student.embedding_BD.sum())\n")],
}
MODELS = {
    "shapes": [("self.fc(features_BCHW.mean((2, 3)))", "self.fc(features_BCHW.mean((2, 3)))[:, :2]")],
    "stages": [('("first", "second")', '("second", "first")')],
    "maps": [
        ("nn.Sequential(nn.Conv2d(channels", "nn.Sequential(nn.Conv2d(channels"),
        ("self.second(self.first(images_BCHW))", "self.second(self.first(images_BCHW).mul_(2))"),
    ],
    "samples": [("self.fc(features_BCHW.mean((2, 3)))", "self.fc(features_BCHW.mean((2, 3)) - features_BCHW.mean((0, 2, 3)))")],
    "same again": [("self.fc(features_BCHW.mean((2, 3)))", "self.fc(nn.functional.dropout(features_BCHW.mean((2, 3))))")],
    "gradient": [("        self.fc = ", "        self.idle = nn.Linear(2, 2)\n        self.fc = ")],
    "seed": [
        ("        self.fc = nn.Linear(2 * width, classes)\n", "        self.fc = nn.Linear(2 * width, classes)\n" + UNSEEDED),
    ],
    "state": [
        (
            "        self.fc = nn.Linear(2 * width, classes)\n",
            "        self.fc = nn.Linear(2 * width, classes)\n        self.scale = self.fc.weight.detach().clone()\n",
        ),
        ("self.fc(features_BCHW.mean((2, 3)))", "self.fc(features_BCHW.mean((2, 3))) * self.scale.sum()"),
    ],
}
DATASETS = {
    "as stated": [("DatasetInfo(CLASSES, 1, SIZE, False, TRAIN,", "DatasetInfo(CLASSES, 1, SIZE, False, TRAIN + 1,")],
    "labels": [("DatasetInfo(CLASSES,", "DatasetInfo(CLASSES + 1,")],
    "same again": [("manual_seed(seed)", "manual_seed(__import__('random').getrandbits(31))")],
    "apart": [("bars(1, TEST)", "bars(0, TRAIN)")],
}
EVALUATIONS = {
    "documented": [],  # the docstring is taken out
    "frozen": [
        ("    @dataclass(frozen=True)\n", "    @dataclass\n"),
        ("class Config(Knobs)", "class Config(Loose)"),
        ("class Mine", "class Loose:\n    space = classmethod(lambda cls: {})\n\n\nclass Mine"),
    ],
    "bounded": [('knob(1, "how many guesses", low=1)', 'knob(1, "", low=1)')],
    "searchable": [("low=1)", "low=1, search=IntUniform(2, 3))"), ("import Knobs, knob", "import IntUniform, Knobs, knob")],
    "numbers": [('return ("sureness",)', 'return ("sure",)')],
    "finite": [('{"sureness": ', '{"sureness": 2 + ')],
    "same again": [(".mean().item()", ".mean().item() * torch.rand(1).item()")],
    "student": [("        with torch.no_grad():\n", "        subject.network.train()\n        with torch.no_grad():\n")],
}
CASES = [
    (table, law)
    for table, broken in (("METHODS", METHODS), ("MODELS", MODELS), ("DATASETS", DATASETS), ("EVALUATIONS", EVALUATIONS))
    for law in broken
]


def test_every_law_has_an_example_that_breaks_it():
    assert {(table, law) for table, laws in LAWS.items() for law in laws} == set(CASES)


@pytest.mark.parametrize(("table", "law"), CASES)
def test_a_broken_law_is_told(tmp_path, table, law):
    text = (TEMPLATES / f"{table.lower()[:-1]}.py").read_text()
    if law == "documented":
        text = text[text.index('"""', 3) + 3 :]
    for was, becomes in globals()[table][law]:
        assert was in text
        text = text.replace(was, becomes)
    (tmp_path / "mine.py").write_text(text)
    entry = getattr(load(read("mine.py", [tmp_path])), table)["mine"]
    told = {verdict.law: verdict for verdict in verdicts(table, "mine", entry) if verdict.problem}
    assert law in told, told
    file, _, line = told[law].where.rpartition(":")
    assert file == str(tmp_path / "mine.py")
    assert 1 <= int(line) <= len(text.splitlines())
    assert "Traceback" not in told[law].problem
