"""Options of the benchmarks: those that would have no effect are refused."""

import sys

import pytest


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("compare_commit", "HEAD --untouched digits --batch-sizes 32", "--batch-sizes"),
        ("compare_commit", "HEAD --predict 1", "--predict needs --untouched"),
        ("compare_commit", "HEAD --turns 0", "at least 1"),
        ("quality.__main__", "--from results.json --seeds 3", "--seeds"),
        ("quality.__main__", "--seeds 0", "at least 1"),
        ("__main__", "--quick --rounds 9", "--rounds"),
        ("__main__", "--long --out results", "--out"),
        ("__main__", "--rounds 0", "at least 1"),
    ],
)
def test_options_without_effect_are_errors(name, options, message, monkeypatch, capsys):
    module = pytest.importorskip(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", ["benchmarks", *options.split()])
    with pytest.raises(SystemExit, match="2"):
        module.main()
    assert message in capsys.readouterr().err.splitlines()[-1]
