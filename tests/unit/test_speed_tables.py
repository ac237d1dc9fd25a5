"""Tables of speed, which are made of stored runs on several machines."""

from pathlib import Path

import pytest

from benchmarks import merge
from benchmarks.results import BETTER, bounds, read

WORK = "fit LeNet, batch 32"


def run(name, **ratios):
    """Make a stored run of one task."""
    return {
        "machine": {"name": name, "cpu": name, "cores": 2, "blas": []}, "versions": {},
        "commit": "", "date": "2026-01-01", "ratios": {WORK: ratios},
    }  # fmt: skip


BOTH = run("A", PyTorch={"median": 2.0}, **{"PyTorch channels_last": {"median": 1.5}})
KEPT = run("B", **{BETTER: {"range": [0.9, 3.04]}, "PyTorch": {"median": 9}})
PLAIN = run("C", PyTorch={"median": 5.0}, skorch={"median": 4.0})


def test_only_the_faster_layout_counts():
    assert bounds(BOTH, WORK, BETTER) == (1.5, 1.5)
    assert bounds(KEPT, WORK, BETTER) == (0.9, 3.04)
    assert bounds(PLAIN, WORK, BETTER) is None
    assert bounds(PLAIN, WORK, "PyTorch") == (5, 5)
    assert bounds(BOTH, "another task", BETTER) is None


def test_the_readme_gives_ranges_and_names_the_machines():
    block = merge.readme([BOTH, KEPT, PLAIN])
    assert "| train LeNet, batches of 32 / 128 | 0.90–3.0 / – | 4.0 / – |" in block
    assert "Machines: A; B; C." in block
    assert "earlier" not in block
    old = {**KEPT, "source": "A letter."}
    assert "Those of B are from earlier versions" in merge.readme([BOTH, old])
    assert "All are from earlier versions" in merge.readme([old])


def test_figures_against_one_layout_alone_are_in_brackets():
    row = "| train LeNet, batches of 32 / 128 | 1.5 / – | 0.90–3.0 / – | (5.0 / –) |"
    assert row in merge.performance([BOTH, KEPT, PLAIN])


def test_a_page_needs_both_markers():
    page = f"a\n{merge.BEGIN}\nold\n{merge.END}\nb"
    assert merge.replaced(page, "new") == f"a\n{merge.BEGIN}\nnew\n{merge.END}\nb"
    with pytest.raises(ValueError, match="no lines"):
        merge.replaced("a\nb", "new")


@pytest.mark.parametrize("page", merge.PAGES)
def test_the_pages_show_the_stored_runs(page):
    """If not, run ``python -m benchmarks.merge``."""
    text = (Path(merge.__file__).parents[1] / page).read_text("utf-8")
    assert merge.replaced(text, merge.PAGES[page](read())) == text
