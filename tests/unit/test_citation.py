"""``CITATION.cff`` names the last release, with its date."""

import re
from pathlib import Path

import skcnn

ROOT = Path(__file__).parents[2]


def test_the_citation_is_of_the_last_release():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    told = dict(re.findall(r"^([a-z-]+): (\S+)$", text, flags=re.MULTILINE))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.search(r"^## \[([\d.]+)\] - (\S+)$", changes, flags=re.MULTILINE).groups()
    assert (told["version"], told["date-released"]) == (version, date)
    if ".dev" not in skcnn.__version__:  # between two releases
        assert told["version"] == skcnn.__version__
