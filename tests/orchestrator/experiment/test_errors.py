"""Wrong experiments: every mistake is named at its line, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.wrong_files import DATA, HEAD, STUDENTS, TEACHERS, TOP, Wrong, check

WRONG: Wrong = {
    # the top
    "misspelt section": (
        "name: x\ndta: {name: digits}\n",
        [":1: data: is missing", ":2: dta: no such field; did you mean 'data'?"],
    ),
    "foreign section": (
        HEAD + "zebra: 1\n",
        [":4: zebra: no such field (there are: analysis, bank, claims, data, evaluations, name"],
    ),
    "no name": ("data: {name: digits}\nteachers: {models: resnet20}\n", [":1: name: is missing"]),
    "number for a name": ("name: 12\n" + DATA + TEACHERS, [":1: name: must be text, but got 12"]),
    "nothing to do": ("name: x\ndata: {name: digits}\n", [":1: names neither `teachers` nor `students`"]),
    "empty sections": (
        "name: x\ndata:\nteachers:\nprobes:\nstudents:\nbank:\n",
        [
            f":{line}: {name}: is empty: write its fields"
            for line, name in enumerate(("data", "teachers", "probes", "students", "bank"), 2)
        ],
    ),
    "list for a section": (HEAD + "bank: [auto]\n", [":4: bank: must be a section of `field: value` lines, but got ['auto']"]),
    # data
    "unknown data set": ("name: x\ndata: {name: cifar}\n" + TEACHERS, [":2: data.name: must be 'digits', 'synthetic'"]),
    "less than no validation": (
        "name: x\ndata:\n  name: digits\n  validation: -0.1\n" + TEACHERS,
        [":4: data.validation: must be >= 0, but got -0.1"],
    ),
    "probes and search without a validation split": (
        "name: x\ndata: {name: digits, validation: 0}\n"
        + TEACHERS
        + "probes:\n  C: 2.0\nstudents:\n  models: resnet8\n  methods:\n    - kd: {search: auto}\n    - gpac\n",
        [
            ":4: probes: there is no validation split (`data.validation` is 0) to judge probes on: `probes: {data: train_h",
            ":9: students.methods[0].kd.search: there is no validation split (`data.validation` is 0) on which a search",
        ],
    ),
    "the best epoch of an analysis without a validation split": (
        "name: x\ndata: {name: digits, validation: 0}\n"
        + TEACHERS
        + "probes: false\nanalysis:\n  codes: [3, 6]\n  keep: best\n",
        [":7: analysis.keep: there is no validation split (`data.validation` is 0) by which an epoch could be the best"],
    ),
    "probes by default without a validation split": (
        "name: x\ndata: {name: digits, validation: 0}\n" + TEACHERS + "students:\n  models: resnet8\n  methods: gpac\n",
        [
            ":6: students.methods: gpac needs probes, but there is no validation split (`data.validation` is 0) to judge",
        ],
    ),
    "too little validation": (  # 1438 × 0.004 = 5.75
        "name: x\ndata:\n  name: digits\n  validation: 0.004\n" + TEACHERS,
        [":4: data.validation: leaves 6 validation images for the 10 classes of digits"],
    ),
    "too little training": (
        "name: x\ndata: {name: digits, train_size: 9}\n" + TEACHERS,
        [":2: data.train_size: must hold an image of each of the 10 classes, but got 9"],
    ),
    "knobs of other data sets": (
        "name: x\ndata:\n  name: digits\n  difficulty: 0.5\n" + TEACHERS,
        [":4: data.difficulty: `difficulty` is for synthetic, not for digits"],
    ),
    "a folder of which too little is said": (
        "name: x\ndata: {name: image_folder, folder: beasts, size: 64}\n" + TEACHERS,
        [":2: data: `classes` must be given for image_folder; `train_images` must be given"],
    ),
    "synthetic images at a size too small": (
        "name: x\ndata: {name: synthetic, size: 8}\nteachers: {models: mobilenet_v2}\n",
        [":3: teachers.models: mobilenet_v2 takes images from 16×16 on, but those of synthetic are 8×8"],
    ),
    # teachers
    "unknown model": (
        TOP + "teachers:\n  models:\n    - resnet20\n    - resnet21\n",
        [":6: teachers.models[1]: there is no model `resnet21`; did you mean resnet"],
    ),
    "images too small": (
        TOP + "teachers: {models: mobilenet_v2}\n",
        [":3: teachers.models: mobilenet_v2 takes images from 16×16 on"],
    ),
    "images too large": (
        "name: x\ndata: {name: cifar10, size: 64}\nteachers: {models: vit_tiny_patch4_32}\n",
        [":3: teachers.models: vit_tiny_patch4_32 takes images of 32×32 alone, but those of cifar10 are 64×64"],
    ),
    "tokens where maps are compared": (
        "name: x\ndata: {name: cifar10}\nteachers:\n  models: [vit_lite_7_patch4_32, resnet8]\nstudents:\n  models: resnet20\n"
        "  methods:\n  - at: {teachers: each}\n  - mgd: {base: fitnet, teachers: vit_lite_7_patch4_32-s0}\n"
        "  - gpac: {beta: 0, search: {space: {beta: {uniform: [0, 1]}}}}\n",
        [
            ":8: students.methods[0].at: at compares feature maps, but of resnet20 ← vit_lite_7_patch4_32-s0 the stages of the "
            "teacher vit_lite_7_patch4_32-s0 are tokens; of these can learn none, kd, sp",
            ":9: students.methods[1].mgd: mgd compares feature maps, but of resnet20 ← vit_lite_7_patch4_32-s0 the",
            ":10: students.methods[2].gpac.search.space.beta: gpac compares feature maps, but of resnet20 ← vit_lite_7_patch4"
            "_32-s0, resnet8-s0 the stages of the teacher vit_lite_7_patch4_32-s0 are",
        ],
    ),
    "tokens of a student where maps are read": (
        "name: x\ndata: {name: cifar10}\nteachers:\n  models: resnet8\nstudents:\n  models: vit_lite_7_patch4_32\n"
        "  methods:\n  - simkd\n  - ofa\n",
        [
            ":8: students.methods[0]: simkd compares feature maps, but of vit_lite_7_patch4_32 ← resnet8-s0 the stages of the "
            "student vit_lite_7_patch4_32 are tokens; of these can learn none, kd, sp"
        ],
    ),
    "no models": (TOP + "teachers: {models: []}\n", [":3: teachers.models: must not be empty"]),
    "models missing": (TOP + "teachers:\n  seeds: 0\n", [":3: teachers.models: is missing"]),
    "bad seeds": (
        TOP + "teachers:\n  models: resnet20\n  seeds:\n    - true\n    - -1\n    - 1.0\n    - x\n",
        [
            ":6: teachers.seeds[0]: must be an integer, but got true",
            ":7: teachers.seeds[1]: must be >= 0, but got -1",
            ":8: teachers.seeds[2]: must be an integer, but got 1.0",
            ":9: teachers.seeds[3]: must be an integer, but got 'x'",
        ],
    ),
    "seeds twice": (
        TOP + "teachers:\n  models: resnet20\n  seeds:\n  - 3\n  - 1\n  - 3\n",
        [":8: teachers.seeds[2]: is listed twice (first in FILE:6)"],
    ),
    "teachers twice": (
        TOP + "teachers:\n- models: resnet20\n- models: [resnet8, resnet20]\n",
        [":5: teachers[1]: names a teacher resnet20-s0 again; give one of the groups a `label` (first in FILE:4)"],
    ),
    "label for a file": (
        TOP + "teachers: {models: resnet20, label: a/b}\n",
        [":3: teachers.label: must be a safe file name"],
    ),
    "too many teachers": (
        TOP + f"teachers: {{models: resnet20, seeds: {list(range(1001))}}}\n",
        [":3: teachers: are 1,001 teachers; at most 1,000 can be run"],
    ),
    # recipes
    "words for numbers": (
        TOP + "teachers:\n  models: resnet20\n  recipe:\n    epochs: ten\n    lr: fast\n    nesterov: yes\n",
        [
            ":6: teachers.recipe.epochs: must be an integer, but got 'ten'",
            ":7: teachers.recipe.lr: must be a number, but got 'fast'",
            ":8: teachers.recipe.nesterov: must be true or false, but got 'yes'",
        ],
    ),
    "fractions": (
        TOP + "teachers: {models: resnet20, recipe: {epochs: 1.5}}\n",
        [":3: teachers.recipe.epochs: must be an integer, but got 1.5"],
    ),
    "huge": (
        TOP + f"teachers: {{models: resnet20, recipe: {{epochs: {10**30}}}}}\n",
        [":3: teachers.recipe.epochs: must fit into 64 bits"],
    ),
    "choice": (
        TOP + "teachers:\n  models: resnet20\n  recipe: {schedule: cosin}\n",
        [":5: teachers.recipe.schedule: must be 'multistep', 'cosine', 'linear' or 'constant', but got 'cosin'; did you"],
    ),
    "knobs in conflict": (
        TOP + "teachers:\n  models: resnet20\n  recipe:\n    epochs: 10\n    warmup: 20\n",
        [":7: teachers.recipe.warmup: `warmup` must be < epochs (10), but got 20"],
    ),
    "an axis of teachers": (
        TOP + "teachers: {models: resnet20, recipe: {lr: [0.1, 0.2]}}\n",
        [":3: teachers.recipe.lr: must be a number, but got [0.1, 0.2]; only the knobs of students multiply out"],
    ),
    "knob in a wrong section": (
        STUDENTS + "    - none\n  lr: 0.1\n",
        [":8: students.lr: no such field (there are: methods, models, recipe, seeds, teachers)"],
    ),
    # students and methods
    "unknown method": (
        STUDENTS + "    - none\n    - gpca\n",
        [":8: students.methods[1]: no method named 'gpca'; did you mean 'gpac'?"],
    ),
    "unknown knob": (
        STUDENTS + "    - kd:\n        temperatur: 2\n",
        [":8: students.methods[0].kd.temperatur: no such field; did you mean 'temperature'?"],
    ),
    "knobs not indented": (
        STUDENTS + "    - kd:\n      temperature: 2\n",
        [":7: students.methods[0]: a method is written `name`, or `name: {knobs}`, but got kd, temperature side by side;"],
    ),
    "no method": (
        STUDENTS + "    - 3\n    - {}\n    - [kd]\n    -\n",
        [
            ":7: students.methods[0]: a method is written `name`, or `name: {knobs}`, but got 3",
            ":8: students.methods[1]: a method is written `name`, or `name: {knobs}`, but got an empty section",
            ":9: students.methods[2]: a method is written `name`, or `name: {knobs}`, but got ['kd']",
            ":10: students.methods[3]: a method is written `name`, or `name: {knobs}`, but got null",
        ],
    ),
    "bounds": (
        STUDENTS + "    - gpac:\n        tau_probe: -1\n        levels: [1, 2, -3]\n"
        "        top:\n          - 1\n          - 0\n        beta: .nan\n",
        [
            ":8: students.methods[0].gpac.tau_probe: must be > 0, but got -1",
            ":9: students.methods[0].gpac.levels[2]: must be >= 0, but got -3",
            ":12: students.methods[0].gpac.top[1]: must be >= 1, but got 0",
            ":13: students.methods[0].gpac.beta: must be >= 0, but got .nan",
        ],
    ),
    "one of a grid in conflict": (
        STUDENTS + "    - gpac:\n        levels: [[1, 2, 3], [1, 2]]\n",
        [":8: students.methods[0].gpac.levels: `levels` must hold one more value than `boundaries` (2), but got 2"],
    ),
    "knobs of a base": (
        STUDENTS + "    - logit_std:\n        base: kd\n        knobs:\n          alpha: 1\n          tau: 3\n",
        [":11: students.methods[0].logit_std.knobs.tau: `knobs` of kd: no knob named `tau`"],
    ),
    "empty axis": (STUDENTS + "    - kd: {temperature: []}\n", [":7: students.methods[0].kd.temperature: must not be empty"]),
    "axis with a value twice": (
        STUDENTS + "    - kd: {temperature: [2, 3, 2.0]}\n",
        [":7: students.methods[0].kd.temperature[2]: is listed twice (first in FILE:7)"],
    ),
    "method twice": (
        STUDENTS + "    - kd\n    - at\n    - kd: {}\n",
        [":9: students.methods[2]: is listed twice (first in FILE:7)"],
    ),
    "cell twice": (
        STUDENTS + "    - kd\n    - kd: {temperature: [2, 4]}\n",
        [":8: students.methods[1]: names the same student as students.methods[0] (FILE:7): resnet8 · kd(temperature=4), seed"],
    ),
    "cell twice in two groups": (
        HEAD + "students:\n- {models: resnet8, methods: [none, kd]}\n- {models: resnet8, methods: kd, seeds: [1, 0]}\n",
        [":6: students[1].methods: names the same student as students[0].methods[1] (FILE:5): resnet8 · kd, seed 0"],
    ),
    "label twice": (
        STUDENTS + "    - kd: {label: mine}\n    - at: {label: mine}\n",
        [":8: students.methods[1]: bears the label 'mine' as does students.methods[0] (FILE:7), which differs"],
    ),
    "label of two lines": (STUDENTS + '    - kd: {label: "a\\nb"}\n', [":7: students.methods[0].kd.label: must be one line"]),
    "no teachers": (
        TOP + "students:\n  models: resnet8\n  methods: [none, kd]\n",
        [":5: students.methods[1]: kd needs teachers, but there are none"],
    ),
    "mixed images for a memory of single ones": (
        STUDENTS + "    - kd\n    - mgd: {base: crd}\n    - crd\n  recipe: {epochs: 3, cutmix: 1.0}\n",
        [
            ":8: students.methods[1].mgd: its loss is one of single images, but the recipe mixes them: no `mixup`, no `cutmix`",
            ":9: students.methods[2]: its loss is one of single images",
        ],
    ),
    "a search that would mix them": (
        STUDENTS + "    - crd: {search: {space: {recipe: {mixup: {uniform: [0, 0.4]}}}}}\n",
        [":7: students.methods[0].crd.search.space.recipe.mixup: its loss is one of single images"],
    ),
    "no probes": (
        "probes: false\n" + STUDENTS + "    - kd\n    - gpac\n",
        [":9: students.methods[1]: gpac needs probes, but `probes` is false"],
    ),
    "unknown teacher": (
        STUDENTS + "    - kd: {teachers: [resnet20-s0, resnet20-s1]}\n    - at: {teachers: eech}\n",
        [
            ":7: students.methods[0].kd.teachers[1]: no teacher named 'resnet20-s1'; did you mean 'resnet20-s0'?",
            ":8: students.methods[1].at.teachers: no teacher named 'eech'; did you mean 'each'?",
        ],
    ),
    "all and others": (
        STUDENTS + "    - kd: {teachers: [all, resnet20-s0]}\n",
        [":7: students.methods[0].kd.teachers: `all` and `each` stand"],
    ),
    "teachers for none": (
        STUDENTS + "    - none: {teachers: each}\n",
        [":7: students.methods[0].none.teachers: none listens to no teachers"],
    ),
    "too large a grid": (
        HEAD + f"students: {{models: resnet8, seeds: {list(range(10_001))}, methods: none}}\n",
        [":4: students: the grid has 10,001 students; at most 10,000 can be run"],
    ),
    "too large an entry": (
        STUDENTS + f"    - kd: {{ce: {list(range(101))}, alpha: {list(range(100))}}}\n",
        [":7: students.methods[0].kd: its lists multiply out to 10,100 variants"],
    ),
    "too many teachers for an entry": (
        TOP
        + f"teachers: {{models: resnet20, seeds: {list(range(101))}}}\n"
        + f"students: {{models: resnet8, methods: [kd: {{teachers: each, ce: {list(range(100))}}}]}}\n",
        [":4: students.methods[0].kd: its knobs and teachers multiply out to more than 10,000 variants"],
    ),
    # the rest
    "resources": (
        HEAD + "resources:\n  teacher: {gpus: 1.5}\n  student:\n    cpus: 0\n  workers: 3\n",
        [
            ":5: resources.teacher.gpus: `gpus` above 1 must be whole, but got 1.5",
            ":7: resources.student.cpus: must be >= 1, but got 0",
            ":8: resources.workers: no such field "
            "(there are: compile, deterministic, max_failures, student, system_metrics, teacher)",
        ],
    ),
    "bank and tracking": (
        HEAD + "bank: {mode: never, limit_gib: 0}\ntracking:\n  url: x\nstore: ''\nprobes: {C: 0}\n",
        [
            ":4: bank.mode: must be 'auto', 'on' or 'off', but got 'never'",
            ":4: bank.limit_gib: must be > 0, but got 0",
            ":6: tracking.url: no such field; did you mean 'uri'?",
            ":7: store: must not be empty",
            ":8: probes.C: must be > 0, but got 0",
        ],
    ),
    "six at once": (
        "name: a/b\ndta: 1\ndata: {name: digits, validation: 2}\nteachers: {models: [resnet20, resnet21]}\nprobes: false\n"
        "students:\n  models: resnet8\n  methods: [gpac, {kd: {temperature: 0}}]\n",
        [
            ":1: name: must be a safe file name",
            ":2: dta: no such field",
            ":3: data.validation: must be <= 0.5, but got 2",
            ":4: teachers.models[1]: there is no model",
            ":8: students.methods[0]: gpac needs probes",
            ":8: students.methods[1].kd.temperature: must be > 0",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case: str, tmp_path: Path) -> None:
    check(*WRONG[case], tmp_path)


@pytest.mark.parametrize("name", ["a/b", "../x", ".x", "-x", "a b", "ü", "a\\\\b", "x\\n", "a" * 101])
def test_names_that_are_no_file_names(name: str, tmp_path: Path) -> None:
    check(f'name: "{name}"\n' + DATA + TEACHERS, [":1: name: must be a safe file name"], tmp_path)
