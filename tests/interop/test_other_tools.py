"""The page of the tools around scikit-learn: each of its sections is run by itself."""

import pytest

from tests.pages import packages, run_section, sections

PAGE = "other_tools.md"
_, SECTIONS = sections(PAGE)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the tools warn of what they import
@pytest.mark.parametrize("heading", SECTIONS)
def test_section(heading, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whatever a tool writes
    run_section(PAGE, heading)


def test_each_section_shows_a_tool():
    assert all(packages(text) for text in SECTIONS.values())
