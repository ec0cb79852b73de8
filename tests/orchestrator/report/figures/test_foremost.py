from orchestrator.report.figures import foremost
from orchestrator.report.figures.foremost import LINES, PANELS, Foremost


def a_row(setting, method, accuracy, status="done", algorithm="kd"):
    row = {"setting": setting, "method": method, "cell": f"{setting}·{method}", "test_accuracy": accuracy}
    return row | {"status": status, "algorithm": algorithm}


def test_a_small_experiment_is_drawn_whole():
    rows = [a_row("a", "kd", 0.5), a_row("a", "at", None, "waiting")]
    found = Foremost(rows)
    assert (found.rows, found.note) == (rows, "")


def test_of_many_settings_those_with_the_best_method_are_drawn():
    """The mean over seeds counts: a good seed of setting 0 does not save it."""
    rows = [a_row(f"s{number}", "kd", number / 100) for number in range(20)]
    rows.append(a_row("s0", "kd", 0.1))
    rows.append(a_row("s3", "at", 0.99))
    found = Foremost(rows)
    assert {row["setting"] for row in found.rows} == {"s3", *(f"s{number}" for number in range(20 - PANELS + 1, 20))}
    assert found.note == f" Drawn are the {PANELS + 1} most accurate of 21 students and methods."


def test_of_many_methods_plain_training_stays_and_what_is_not_done_goes_first():
    rows = [a_row("a", f"m{number}", number / 100) for number in range(30)]
    rows += [a_row("a", "none", 0.001, algorithm="none"), a_row("a", "late", None, "waiting")]
    found = {row["method"] for row in Foremost(rows).rows}
    assert found == {"none", *(f"m{number}" for number in range(30 - LINES, 30))}


def test_the_order_is_that_of_the_experiment():
    rows = [a_row(f"s{number % 17}", "kd", number % 7) for number in range(17)]
    drawn = [row["setting"] for row in Foremost(rows).rows]
    assert drawn == sorted(drawn, key=[row["setting"] for row in rows].index)


def test_of_equal_ones_the_first_are_drawn():
    assert foremost.best({"a": 1, "b": 1, "c": 2, "d": 1}, 2) == {"a", "c"}
