"""Doctests are left out where the packages that they show are not installed."""

from importlib.util import find_spec

collect_ignore_glob = ["docs/gallery/*", "docs/api/*"]  # made by a build of the documentation
collect_ignore_glob += [] if find_spec("onnxruntime") else ["docs/onnx.md", "skcnn/onnx/*.py"]
