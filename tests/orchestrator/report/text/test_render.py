import base64
import csv
import hashlib
import io
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from orchestrator.report.data.reading import Reading
from orchestrator.report.text import escape
from orchestrator.report.text.origin import Origin
from orchestrator.report.text.render import FORMATS, TemplateError, render, write
from orchestrator.report.text.terminal import probe_table, terminal
from tests.support.report_world import RESULTS, TEACHERS, a_plan, a_store, steady, the_student  # noqa: F401

EVIL = r"<b>a|b_c_ *d* $x$ 50% & #1 {y} \z [l](u) `t` ~"  # a label may be any line of 80 visible characters

MARKDOWN = r"""# toy

Distillation helped in 1 of 2 comparisons with plain training (95 % confidence interval above zero), 1 of them also after Holm's correction; 1 cannot be told apart at this number of seeds.

resnet8: gpac (+4.00 points, 95 % CI [+1.52, +6.48], Holm p = 0.040, n = 3) beats plain training; kd (+1.50 points, 95 % CI [−4.85, +7.85], Holm p = 0.205, n = 2) cannot be told apart from plain training.

## Students

Accuracy in %, mean ± standard deviation over the seeds that are done. Test is read at the epoch chosen on the validation split: the result; (last) is the last epoch. The difference to plain training is in points, paired by seed, with the 95 % confidence interval of Student's t. p is corrected by Holm over the methods of the student; time is the mean training time of a seed. Teachers A: resnet20-s0, resnet32-s0, wrn_16_2-s0. Bold: an interval that leaves out zero.

| student | method | teachers | seeds | validation | test | test (last) | vs plain [95 % CI] | p (Holm) | time |
|:--|:--|:--|--:|--:|--:|--:|--:|--:|--:|
| resnet8 | none | – | 3/3 | 92.00 ± 1.00 | 91.00 ± 1.00 | 90.00 ± 1.00 | control | – | 21.0 s |
| resnet8 | kd | A (3) | 2/3 [1] | 93.50 ± 0.71 | 92.50 ± 0.71 | 91.50 ± 0.71 | +1.50 [−4.85, +7.85] | 0.205 | 21.0 s |
| resnet8 | gpac | A (3) | 3/3 | 96.00 ± 1.00 | 95.00 ± 1.00 | 94.00 ± 1.00 | **+4.00 [+1.52, +6.48]** | 0.040 | 21.0 s |

- [1] seed 1 failed: the loss diverged in epoch 3: ce = nan

## Teachers

Accuracy in %. Test is read at the epoch chosen on the validation split; (last) is the last epoch.

| teacher | model | parameters | validation | test | test (last) | chosen epoch | time |
|:--|:--|--:|--:|--:|--:|--:|--:|
| resnet20-s0 | resnet20 | 0.28 M | 98.00 | 97.00 | 96.00 | 3/4 | 20.0 s |
| resnet32-s0 | resnet32 | 0.28 M | 98.50 | 97.50 | 96.50 | 3/4 | 20.0 s |
| wrn_16_2-s0 | wrn_16_2 | 0.28 M | 99.00 | 98.00 | 97.00 | 3/4 | 20.0 s |

## Networks

Parameters, their size in single precision, and multiply-accumulates of convolutions and linear layers for one image.

| role | network | parameters | size | multiply-accumulates | smaller than its largest teacher |
|:--|:--|--:|--:|--:|--:|
| student | resnet8 | 0.28 M | 1.06 MiB | – | 1.0× |
| teacher | resnet20-s0 | 0.28 M | 1.06 MiB | – | – |
| teacher | resnet32-s0 | 0.28 M | 1.06 MiB | – | – |
| teacher | wrn_16_2-s0 | 0.28 M | 1.06 MiB | – | – |

## Probes

Validation accuracy in % of a linear classifier probe on every layer. Bold: the best teacher of a layer.

| teacher | stage0 | stage1 | stage2 | embedding |
|:--|--:|--:|--:|--:|
| resnet20-s0 | **70.00** | 90.00 | 96.00 | 96.20 |
| resnet32-s0 | 68.00 | **92.00** | 97.00 | 97.10 |
| wrn_16_2-s0 | 66.00 | 91.00 | **98.00** | **98.50** |

## Selected by probes: resnet8 with gpac

The weight of each teacher at the student's stages and, in brackets, the accuracy in % of the probe behind it. Bold: the teacher that leads a stage.

| teacher | stage0 8×8 | stage1 4×4 | stage2 2×2 |
|:--|--:|--:|--:|
| resnet20-s0 | **1.00 (70.00)** | 0.00 (90.00) | 0.00 (96.00) |
| resnet32-s0 | 0.00 (68.00) | **1.00 (92.00)** | 0.00 (97.00) |
| wrn_16_2-s0 | 0.00 (66.00) | 0.00 (91.00) | **1.00 (98.00)** |

## Set-up

Every knob with its value, defaults written out.

| part | of | values |
|:--|:--|:--|
| data | digits | validation 0.1, split_seed 0, label_noise 0, padding 1, flip false, size 8 |
| teacher | resnet20-s0, resnet32-s0, wrn_16_2-s0 | epochs 4, batch_size 64, lr 0.05, momentum 0.9, weight_decay 0.0005, nesterov false, schedule multistep, decay 0.1, warmup 0, precision fp32 |
| probes | all teachers | C 1, max_iterations 100, tolerance 0.0001 |
| student | resnet8 | epochs 4, batch_size 64, lr 0.05, momentum 0.9, weight_decay 0.0005, nesterov false, schedule multistep, decay 0.1, warmup 0, precision fp32 |
| method | none | – |
| method | kd | ce 0.1, alpha 0.9, temperature 4 |
| method | gpac | ce 1, alpha 0.9, temperature 4, tau_instruct 1, gamma 0.5, guide_max 4, epsilon 1e-08, beta 1000, levels [1,0.5,0.1], boundaries [0.3333333333333333,0.6666666666666666], top 1, tau_probe 0.01 |

## Made from

- experiment: toy
- teacher jobs: 3 of 3 done
- probe jobs: 3 of 3 done
- student jobs: 8 of 9 done
- computed: 2025-10-09 08:53 UTC to 2025-10-09 08:53 UTC
- compute time: 3.9 min
- devices: cpu
- git commit: 0123456789abcdef0123456789abcdef01234567
- python: 3.11.2
- torch: 2.13.0
"""  # noqa: E501


@pytest.fixture
def world(tmp_path, steady):  # noqa: F811
    """One of kd's seeds has failed."""
    plan = a_plan()
    values = {**RESULTS, "kd": (0.92, None, 0.93)}
    store = a_store(tmp_path / "store", plan, values)
    store.fail(the_student(plan, "kd", 1), {"reason": "the loss diverged in epoch 3: ce = nan"})
    return plan, store


@pytest.fixture
def evil(tmp_path):
    """A method's label and a failure's reason are full of markup."""
    plan = a_plan(labels={"kd": EVIL})
    store = a_store(tmp_path / "store", plan, {**RESULTS, "kd": (0.92, None, 0.93)})
    store.fail(the_student(plan, "kd", 1), {"reason": f"{EVIL}\nsecond line"})
    return plan, store


class Page(HTMLParser):
    """Tags in balance, ids, table rows, and all text."""

    VOID = ("meta", "link", "br", "hr", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_markdown_as_it_was(world):
    assert render(Reading(*world), "md") == MARKDOWN


def test_csv_has_a_row_per_student(world):
    plan, _ = world
    rows = list(csv.DictReader(io.StringIO(render(Reading(*world), "csv"))))
    assert [row["key"] for row in rows] == [job.key for job in plan.of("student")]
    assert rows[4]["status"] == "failed"
    assert rows[4]["reason"] == "the loss diverged in epoch 3: ce = nan"
    assert rows[4]["test_accuracy"] == ""
    assert float(rows[8]["test_accuracy"]) == 0.95
    assert rows[8]["teachers"].split() == list(TEACHERS)


def test_html_is_whole_and_needs_nothing_else(world):
    text = render(Reading(*world), "html")
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not re.findall(r"url\((?!#)|@import", text)
    gpac = next(row for row in page.rows if "gpac" in row)
    assert gpac[:5] == ["resnet8", "gpac", "A (3)", "3/3", "96.00 ± 1.00"]
    assert ["wrn_16_2-s0", "66.00", "91.00", "98.00", "98.50"] in page.rows
    assert "0123456789abcdef0123456789abcdef01234567" in page.text
    for title in ("Accuracy by method", "Learning curves", "Instructional weights"):
        assert title in page.text
    for job in world[0]:
        assert job.short in page.text


def test_the_same_store_gives_the_same_report(world):
    for format in FORMATS:
        assert render(Reading(*world), format) == render(Reading(*world), format)


def test_html_escapes(evil):
    page = Page(render(Reading(*evil), "html"))
    assert page.open == []
    assert "b" not in page.seen
    assert any(EVIL in row for row in page.rows)
    assert page.text.count(EVIL) > 3  # also in the pictures


def test_markdown_escapes(evil):
    text = render(Reading(*evil), "md")
    rows = [line for line in text.splitlines() if line.startswith("| resnet8 |")]
    assert [len(re.split(r"(?<!\\)\|", row)) for row in rows] == [12] * 3  # ten columns between the outer bars
    assert r"\<b>a\|b_c\_ \*d\* \$x\$ 50% \& \#1 {y} \\z [l\](u) \`t\` \~" in rows[1]
    assert "second line" in next(line for line in text.splitlines() if line.startswith("- [1]"))


def test_tex_escapes(evil):
    text = render(Reading(*evil), "tex")
    shown = (
        r"\textless{}b\textgreater{}a\textbar{}b\_c\_ *d* \$x\$ 50\% \& \#1 \{y\} \textbackslash{}z {[}l{]}(u) `t` "
        r"\textasciitilde{}"
    )
    assert f"resnet8 & {shown} & A (3)" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 5
    assert r"\textbf{+4.00 {[}+1.52, +6.48{]}}" in text
    rows = [line for line in text.splitlines() if line.startswith("resnet8 &")]
    assert [len(re.split(r"(?<!\\)&", row)) for row in rows] == [10] * 3


def test_csv_keeps_every_character(evil):
    rows = list(csv.DictReader(io.StringIO(render(Reading(*evil), "csv"))))
    assert rows[4]["method"] == EVIL
    assert rows[4]["reason"] == f"{EVIL}\nsecond line"


def test_tex_is_tables_alone_that_fit_the_page(world):
    """What stands before the first table is comment, and what is wider than the text is scaled down to it."""
    text = render(Reading(*world), "tex")
    head, *bodies = text.split(r"\begin{table}")
    assert all(line.startswith("%") or not line for line in head.splitlines())
    between = [body.partition(r"\end{table}")[2] for body in bodies]
    assert not "".join(between).strip()
    assert all(r"\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi" in body for body in bodies)


PAPER = r"""\documentclass[a4paper,11pt]{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
\input{tables}
\end{document}
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX: apt-get install texlive-latex-extra")
@pytest.mark.parametrize("where", ["world", "evil"])
def test_tex_is_typeset_without_a_complaint(where, tmp_path, request):
    plan, store = request.getfixturevalue(where)
    (tmp_path / "tables.tex").write_text(render(Reading(plan, store), "tex"))
    (tmp_path / "paper.tex").write_text(PAPER)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"], cwd=tmp_path, capture_output=True, check=False
    )
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    complaints = [line for line in log.splitlines() if line.startswith(("Overfull", "Missing character", "LaTeX Warning"))]
    assert complaints == []


def test_html_runs_its_own_script_alone(world):
    text = render(Reading(*world), "html")
    [script] = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert not re.search(r"\son\w+=", text)


def test_what_runs_it_again_is_told_and_harmless(world):
    origin = Origin("toy.yaml", "name: toy\n# </pre><script>alert(1)</script> \u202e\n```\n", "kd run toy.yaml --set 'a=<b>'")
    text = render(Reading(*world), "html", origin)
    assert "kd run toy.yaml --set &#39;a=&lt;b&gt;&#39;" in text
    assert "&lt;/pre&gt;&lt;script&gt;alert(1)" in text
    assert text.count("<script>") == 1
    marked = render(Reading(*world), "md", origin)
    assert "```sh\nkd run toy.yaml --set 'a=<b>'\n```" in marked
    assert [line for line in marked.splitlines() if line.startswith("```")] == ["```sh", "```", "```yaml", "```"]
    assert "\u202e" not in marked


def test_two_experiments_side_by_side(world, tmp_path):
    """kd: 93 ± 1 here and 90 ± 1 there, in each seed 3 points less: without a deviation there is no interval."""
    there = a_plan({"kd": (0.89, 0.91, 0.90), "at": (0.9, 0.9)}, name="other")
    store = a_store(tmp_path / "other", there, {"kd": (0.89, 0.91, 0.90), "at": (0.9, 0.9)})
    here = a_plan({"kd": (0.92, 0.94, 0.93)})
    ours = a_store(tmp_path / "here", here, {"kd": (0.92, 0.94, 0.93)})
    text = render(Reading(here, ours), "md", other=Reading(there, store))
    table = text.partition("## Compared with other")[2].partition("##")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| resnet8")]
    assert rows[0][:6] == ["resnet8", "kd", "93.00 ± 1.00", "3", "90.00 ± 1.00", "3"]
    assert rows[0][6].startswith("+3.00")
    assert rows[1] == ["resnet8", "at", "–", "0", "90.00 ± 0.00", "2", "–"]


def test_a_template_of_the_users_own(world, tmp_path):
    own = tmp_path / "own.md.j2"
    own.write_text("{% for table in document.tables %}{{ table.title }};{% endfor %}")
    assert render(Reading(*world), "md", template=own).startswith("Students;")
    own.write_text("<p>{{ document.name }}</p>{{ '<b>' }}")
    assert render(Reading(*world), "html", template=own) == "<p>toy</p>&lt;b&gt;"
    for content, message in (
        ("{% for %}", "own.md.j2, line 1: "),
        ("{{ nothing.there }}", "own.md.j2: 'nothing' is undefined"),
    ):
        own.write_text(content)
        with pytest.raises(TemplateError, match=message):
            render(Reading(*world), "md", template=own)
    with pytest.raises(TemplateError, match="csv is a table"):
        render(Reading(*world), "csv", template=own)


@pytest.mark.parametrize("character", list('\\{}$&#_%~^<>|"'))
def test_no_special_character_of_tex_is_left_alone(character):
    assert escape.tex(character) != character


def test_the_terminal_shows_every_number_within_its_width(evil):
    text = terminal(Reading(*evil))
    assert max(map(len, text.splitlines())) <= 100
    for number in ("92.00 ± 1.00", "2/3 [1]", "* +4.00 [+1.52, +6.48]", "0.040", "* 98.50", "+1.50 [−4.85, +7.85]"):
        assert number in text
    assert "\x1b" not in text
    assert "\x1b" in terminal(Reading(*evil), color=True)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (160, "student, method, teachers, seeds, validation, test, test (last), vs plain [95 % CI], p (Holm), time"),
        (100, "student, method, seeds, validation, test, test (last), vs plain [95 % CI], p (Holm)"),
        (90, "student, method, seeds, validation, test, vs plain [95 % CI], p (Holm)"),
        (65, "student, method, seeds, test, vs plain [95 % CI]"),
    ],
)
def test_the_terminal_leaves_out_columns_for_which_there_is_no_room(world, width, columns):
    [head] = [line for line in terminal(Reading(*world), width=width).splitlines() if line.startswith("student ")]
    assert ", ".join(re.split(r"\s{2,}", head)) == columns


def test_the_probe_table(world, tmp_path):
    text = probe_table(Reading(*world), width=80)
    assert "wrn_16_2-s0    66.00    91.00  * 98.00    * 98.50" in text
    assert "wrn_16_2-s0    0.00 (66.00)    0.00 (91.00)  * 1.00 (98.00)" in text
    plan, store = world
    (store.root / "probe").rename(tmp_path / "gone")
    assert probe_table(Reading(plan, store)) == "No teacher has been probed yet.\n"


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_of_nothing_yet(tmp_path, format):
    plan = a_plan()
    store = a_store(tmp_path, a_plan({"none": ()}), {})
    for kind in ("teacher", "probe"):
        (store.root / kind).rename(tmp_path / f"gone-{kind}")
    assert "not run yet" in render(Reading(plan, store), format)
    assert "0/3 [1]" in terminal(Reading(plan, store))


def test_write_makes_the_folder_and_leaves_only_the_report(world, tmp_path):
    write(Reading(*world), "md", tmp_path / "out" / "report.md")
    assert (tmp_path / "out" / "report.md").read_text() == MARKDOWN
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.md"]


def test_an_unknown_format(world):
    with pytest.raises(ValueError, match="`format` must be one of md, csv, tex, html, but got pdf"):
        render(Reading(*world), "pdf")


def test_markdown_needs_neither_torch_nor_matplotlib(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.support.report_world import a_plan, a_store\n"
        "from orchestrator.report.data.reading import Reading\n"
        "from orchestrator.report.text.render import render\n"
        "from orchestrator.report.text.terminal import terminal\n"
        "plan = a_plan()\n"
        f"store = a_store(Path({str(tmp_path)!r}), plan)\n"
        "for format in ('md', 'csv', 'tex'):\n"
        "    render(Reading(plan, store), format)\n"
        "terminal(Reading(plan, store))\n"
        "print(sorted({'torch', 'matplotlib', 'ray', 'mlflow'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
