"""ONNX export where the packages of the extra are not installed."""

import subprocess
import sys

import pytest

from skcnn.onnx import register, to_onnx


@pytest.mark.parametrize("missing", ["onnx", "skl2onnx"])
def test_an_error_names_the_extra(monkeypatch, fitted, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"needs the package {missing}: pip .*skcnn\[onnx\]"):
        to_onnx(fitted) if missing == "onnx" else register()


@pytest.mark.parametrize("name", ["skcnn", "skcnn.onnx"])
def test_an_import_needs_none_of_them(name):
    code = f"import {name}, sys; print(sorted({{'onnx', 'skl2onnx'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
