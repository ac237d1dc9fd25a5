"""``.ci/pythons`` finds every Python that works, and names those that should be there."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "pythons"
pytestmark = pytest.mark.skipif(
    not SCRIPT.exists() or sys.platform != "linux",
    reason="needs bash 4, and a checkout, since releases come without it",
)

with open(ROOT / "pyproject.toml", "rb") as file:
    PROJECT = tomllib.load(file)["project"]
CLASSIFIED = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def put(folder, **codes):
    """Programs of these names that end with these codes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in codes.items():
        program = folder / f"python{name.replace('_', '.')}"
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o755)


def found(tmp_path, *folders):
    """Run it with these folders first in the path, and a made-up pyenv; return its output."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "sed", "sort", "env"):
        (tools / name).symlink_to(shutil.which(name))
    pyenv = tools / "pyenv"
    pyenv.write_text(f"#!/bin/sh\necho '{tmp_path / 'pyenv'}'\n")
    pyenv.chmod(0o755)
    path = os.pathsep.join(map(str, [*folders, tools]))
    done = subprocess.run([SCRIPT], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line.split(" ") for line in done.stdout.splitlines()]


def test_what_works_is_found_once_and_in_order(tmp_path):
    put(tmp_path / "one", **{"3": 0, "3_9": 0, "3_11": 0, "3_99": 0, "3_12": 1})
    put(tmp_path / "two", **{"3_11": 0, "3_12": 0, "3_13": 1, "3_100": 0, "3_13t": 0})
    put(tmp_path / "pyenv" / "versions" / "3.13.0" / "bin", **{"3_13": 0, "3_99": 0})
    lines = found(tmp_path, tmp_path / "one", tmp_path / "two")
    assert lines == [
        ["python3.11", str(tmp_path / "one" / "python3.11")],
        ["python3.12", str(tmp_path / "two" / "python3.12")],
        ["python3.13", str(tmp_path / "pyenv" / "versions" / "3.13.0" / "bin" / "python3.13")],
        ["python3.99", str(tmp_path / "one" / "python3.99")],
        ["python3.100", str(tmp_path / "two" / "python3.100")],
    ]


def test_what_is_classified_and_missing_is_named(tmp_path):
    assert found(tmp_path, tmp_path) == [[f"python{version}"] for version in CLASSIFIED]


def test_the_oldest_is_classified():
    assert PROJECT["requires-python"] == f">={CLASSIFIED[0]}"
    assert len(CLASSIFIED) >= 3
