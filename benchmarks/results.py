"""Stored results of ``python -m benchmarks``: one JSON file for each run on a machine."""

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from benchmarks.measure import Result

FOLDER = Path(__file__).parent / "results"
"""Place of the stored runs, which the tables are made of."""

PACKAGES = "numpy", "scikit-learn", "torch", "skorch"

PLAIN, CHANNELS_LAST = "PyTorch", "PyTorch channels_last"
"""Names of the plain loop in its two layouts; of a run that kept only the better one, `BETTER`."""

BETTER = "PyTorch, the better layout"


def describe_machine(name: str | None) -> dict[str, Any]:
    """Describe the processor and the BLAS that the figures depend on; `name` is for the tables."""
    blas = [
        {key: library[key] for key in ("internal_api", "architecture", "num_threads", "version")}
        for library in threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    ]
    cpu = _processor()
    return {"name": name or cpu, "cpu": cpu, "cores": os.cpu_count(), "blas": blas}


def _processor() -> str:
    """Return the processor's model, with family and number where the name says little."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    name = found.get("model name", platform.machine())
    numbers = [found[key] for key in ("cpu family", "model") if key in found]
    return f"{name} (family {numbers[0]}, model {numbers[1]})" if numbers[1:] else name


def describe_code() -> dict[str, Any]:
    """Return the versions of all packages, the commit, and the date."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = ""
    return {
        "versions": versions,
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "-s") else ""),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _git(*arguments: str) -> str:
    run = subprocess.run(
        ["git", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=False
    )
    return run.stdout.strip()


def ratios(results: list[Result]) -> dict[str, dict[str, Any]]:
    """Return for each task and contender the ratio of the medians, and the quartiles of rounds."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        found[result.work] = {}
        for name in result.seconds:
            if name != "skcnn":
                quartiles = [round(ratio, 3) for ratio in result.spread(name)]
                median = round(result.ratio(name), 3)
                found[result.work][name] = {"median": median, "quartiles": quartiles}
    return found


def file_name(run: dict[str, Any]) -> str:
    """Return the name of a run's file: the machine's and the date."""
    words = re.findall(r"[a-z0-9]+", run["machine"]["name"].lower())
    return "-".join([*words, run["date"]]) + ".json"


def write(run: dict[str, Any], folder: Path) -> Path:
    """Store a run, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(run)
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read(paths: list[Path] | None = None) -> list[dict[str, Any]]:
    """Read stored runs, by default all of `FOLDER`, the latest first."""
    runs = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (sorted(FOLDER.glob("*.json")) if paths is None else paths)
    ]
    return sorted(runs, key=lambda run: run["date"], reverse=True)


def bounds(run: dict[str, Any], work: str, against: str) -> tuple[float, float] | None:
    """Return the least and the largest ratio to a contender in a run, or None.

    Against `BETTER`, that is the faster one of both layouts, if the run had both.
    """
    of_work = run["ratios"].get(work, {})
    if against == BETTER and BETTER not in of_work:
        if CHANNELS_LAST not in of_work:
            return None
        against = min(PLAIN, CHANNELS_LAST, key=lambda name: of_work[name]["median"])
    if against not in of_work:
        return None
    found = of_work[against]
    low, high = found.get("range", [found.get("median")] * 2)
    return float(low), float(high)
