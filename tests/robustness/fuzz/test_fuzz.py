"""Random input by thousands of seeds, and whatever was once found."""

import json
from pathlib import Path

import pytest

from tests.robustness.fuzz.__main__ import KINDS

CORPUS = json.loads(Path(__file__).with_name("corpus.json").read_text(encoding="utf-8"))


def failures(kind, seeds):
    """A line for every failure, which repeats it."""
    module = KINDS[kind]
    found = [(seed, module.run(module.draw(seed))) for seed in seeds]
    return [
        f"python -m tests.robustness.fuzz {kind} {seed}: {text}" for seed, text in found if text
    ]


@pytest.mark.parametrize("start", range(0, 1000, 250))
def test_bad_input_is_refused_by_name_or_fitted_rightly(start):
    assert not failures("bad", range(start, start + 250))


@pytest.mark.slow
@pytest.mark.parametrize("start", [1000, *range(10_000, 30_000, 1000)])
def test_more_bad_input(start):
    assert not failures("bad", range(start, start + 1000))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 100, 25))
def test_what_must_hold_for_valid_settings(start):
    assert not failures("valid", range(start, start + 25))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 2500, 100))
def test_what_must_hold_for_more_valid_settings(start):
    assert not failures("valid", range(start, start + 100))


def test_layouts_are_read_as_said_or_with_advice_that_works():
    assert not failures("layout", range(300))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 6000, 1000))
def test_more_layouts(start):
    assert not failures("layout", range(start, start + 1000))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 500, 50))
def test_others_who_limit_blas_at_the_same_time(start):
    assert not failures("overlap", range(start, start + 50))


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry["found"])
def test_the_corpus(entry):
    assert KINDS[entry["kind"]].run(entry["case"]) is None


def test_a_case_is_no_more_than_its_description():
    for module in KINDS.values():
        for seed in range(50):
            case = module.draw(seed)
            assert json.loads(json.dumps(case)) == case
