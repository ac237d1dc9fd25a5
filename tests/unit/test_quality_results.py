"""Results of `benchmarks.quality` that are stored, merged, selected, and shown again."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.measure import NONE, Scores
from benchmarks.quality.report import tables
from benchmarks.quality.results import complete, over_seeds, read, write

STORED = Path(__file__).parents[2] / "benchmarks" / "quality" / "results.json"
GOOD, BAD = Scores(0.9, 0.25, 0.125, 2.0), Scores(0.5, np.nan, np.nan, 0.5)


def test_files_keep_the_scores(tmp_path):
    path = tmp_path / "results.json"
    write({"digits": {"skcnn": [GOOD, GOOD], "SVC": [BAD]}}, path)
    results = read([path])
    assert results["digits"]["skcnn"] == [GOOD, GOOD]
    np.testing.assert_array_equal(results["digits"]["SVC"], [BAD])


def test_later_files_take_precedence(tmp_path):
    write({"digits": {"skcnn": [BAD], "SVC": [BAD]}}, tmp_path / "old.json")
    write({"digits": {"skcnn": [GOOD]}, "faces": {"SVC": [GOOD]}}, tmp_path / "new.json")
    results = read([tmp_path / "old.json", tmp_path / "new.json"])
    assert results["digits"]["skcnn"] == [GOOD]
    assert list(results["digits"]) == ["skcnn", "SVC"]
    assert list(results["faces"]) == ["SVC"]


def test_every_set_gets_the_same_contenders():
    results = {"faces": {"SVC": [GOOD]}, "digits": {"skcnn": [GOOD], "k-NN": [NONE]}}
    chosen = complete(results, ["digits", "grey", "faces"], ["k-NN", "SVC", "forest", "skcnn"])
    assert list(chosen) == ["digits", "faces"]
    np.testing.assert_array_equal(
        over_seeds(chosen, "accuracy"), [[np.nan, 0.9], [0.9, np.nan]]
    )  # SVC, skcnn


def test_stored_results_can_be_shown():
    results = read([STORED])
    contenders = sorted({name for row in results.values() for name in row})
    shown = tables(complete(results, results, contenders))
    assert shown.startswith("accuracy")
    assert len(results) > 10


def test_pictures_of_results(tmp_path):
    plots = pytest.importorskip("benchmarks.quality.plots")
    results = {"digits": {"skcnn": [GOOD], "SVC": [BAD]}, "faces": {"skcnn": [GOOD], "SVC": [NONE]}}
    for plot in (plots.plot_errors, plots.plot_seconds):
        plot(results, tmp_path / f"{plot.__name__}.png")
        assert (tmp_path / f"{plot.__name__}.png").stat().st_size > 1000
