"""Sphinx configuration: ``python -m sphinx -W -b html docs OUT``."""

import re
import sys
from importlib.resources import files
from pathlib import Path

from docutils import nodes
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - a script names them

import skcnn

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this file

project = "skcnn"
author = "the authors of skcnn"
version = release = skcnn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]
default_role = "py:obj"  # names in single backticks link to their pages, where there are any
python_use_unqualified_type_names = True
add_module_names = False

# Markdown: anchors of headings, $formulas$, and links between pages are checked

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# formulas: a page loads nothing from elsewhere; this file of MathJax contains its fonts

mathjax_path = "tex-svg-full.js"
MATHJAX = files("mathjax") / "static" / "mathjax" / "es5" / mathjax_path

# the API: every name has a page of its own

autosummary_generate = True
autodoc_typehints = "none"  # docstrings describe types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# the gallery shows all of `examples/`, and runs those that are quick and have their data

DATA = {
    "fashion_small": "/usr/share/datasets/fashion-mnist"
}  # data that no package of [docs] includes
SHOWN = ["fashion_mnist", "reference_networks", "cluster"]
SHOWN += [script for script, folder in DATA.items() if not Path(folder).is_dir()]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/(?!({'|'.join(SHOWN)})\.py$)\w+\.py$",
    "within_subsection_order": "gallery_order.GalleryOrder",
    "doc_module": ("skcnn",),
    "backreferences_dir": "api/examples",
    "reference_url": {"skcnn": None},
    "download_all_examples": False,
    "image_srcset": ["2x"],
    "ignore_repr_types": r"matplotlib\.|Display",  # displays need not be printed as well
    "show_memory": False,
    "write_computation_times": False,  # whose page loads a script from elsewhere
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static", str(MATHJAX)]
html_css_files = ["skcnn.css"]
html_title = "skcnn"
html_show_sourcelink = False
html_sidebars = {  # pages without subpages
    page: []
    for page in ["changelog", "contributing", "course", "performance", "quality", "reliability"]
}
html_theme_options = {
    "header_links_before_dropdown": 4,
    "navbar_persistent": ["search-button"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": [],
    "footer_end": [],
}


def without_foreign_labels(app, what, name, obj, options, lines):
    """Unlink references to scikit-learn's documentation in inherited methods."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        lines[:] = [re.sub(r":ref:`([^`<]*?)\s*(<[^`]*>)?`", r"\1", line) for line in lines]


def without_blank_ends(app, doctree):
    """Drop the blank line that ends a doctest in Markdown."""
    for block in doctree.findall(nodes.literal_block):
        block.rawsource = block.astext().rstrip("\n")
        block[:] = [nodes.Text(block.rawsource)]


def setup(app):
    app.connect("doctree-read", without_blank_ends)
    app.connect("autodoc-process-docstring", without_foreign_labels)
