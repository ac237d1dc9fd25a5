"""Doctests are left out where the packages that they show are not installed."""

from importlib.util import find_spec

# what these show takes packages and time of its own: tests/pages.py runs them, a section at a time
collect_ignore_glob = ["docs/clusters.md", "docs/other_tools.md"]
collect_ignore_glob += ["docs/gallery/*", "docs/api/*"]  # made by a build of the documentation
if not find_spec("onnxruntime"):
    collect_ignore_glob += ["docs/onnx.md", "skcnn/onnx/*.py"]
