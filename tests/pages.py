"""Pages of the documentation whose snippets need packages of their own, a section at a time."""

import ast
import doctest
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PARSER = doctest.DocTestParser()


def sections(page):
    """The headings of the sections that have a snippet, and the text of each."""
    first, *others = re.split(r"^## ", (DOCS / page).read_text(encoding="utf-8"), flags=re.M)
    by_heading = {text.partition("\n")[0]: text for text in others}
    return first, {name: text for name, text in by_heading.items() if PARSER.get_examples(text)}


def packages(text):
    """Packages that the snippets of a text import, apart from this one and Python's own."""
    tree = ast.parse("".join(example.source for example in PARSER.get_examples(text)))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    ours = {"skcnn", "numpy", "sklearn", "joblib", *sys.stdlib_module_names}
    return {name for name in names if name.partition(".")[0] not in ours}


def run_section(page, heading):
    """Run the snippets at the top of a page and those below one heading."""
    first, found = sections(page)
    for name in sorted(packages(first + found[heading])):
        pytest.importorskip(name)
    names, report = {"__name__": "__main__"}, []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for part in (first, found[heading]):
        test = PARSER.get_doctest(part, names, f"{page}: {heading}", str(DOCS / page), 0)
        test.globs = names
        runner.run(test, out=report.append, clear_globs=False)
    assert runner.failures == 0, "".join(report)
