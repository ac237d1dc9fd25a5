"""Coverage-guided: ``python -m tests.untrusted SECONDS``, with atheris installed.

It mutates valid files for so long, and ends with an error at the first content
that `examine_file` or `examine_folder` does not like; it is printed then.
Nothing is left on the disk.
"""

import gzip
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

LONGEST = 4096
"""Bytes of the longest content."""


def fuzz(folder, corpus, seconds):
    """Run atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["skcnn.datasets"]):
        from tests.untrusted.readers import examine_file, examine_folder

    def one(data):
        """The first byte says what is done with the others."""
        how, content = data[:1], data[1:]
        if how == b"p":
            examine_file(folder / "file", content)
        elif how == b"z":
            examine_file(folder / "file", gzip.compress(content, 1, mtime=0))
        elif len(content) > 1:
            cut = 2 + content[0]
            examine_folder(folder, content[1:cut], content[cut:])

    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(corpus)], one)
    atheris.Fuzz()


def main(seconds):
    """Run `fuzz` in a process of its own on a folder that is deleted afterwards."""
    from tests.untrusted.readers import as_idx, valid_files

    with TemporaryDirectory() as name:
        folder, corpus = Path(name), Path(name, "corpus")
        corpus.mkdir()
        for i, content in enumerate(valid_files()):
            how = b"p" if content.startswith(b"\x1f\x8b") else b"z"
            (corpus / f"{i}-p").write_bytes(b"p" + content)
            (corpus / f"{i}-z").write_bytes(how + content)
        import numpy as np

        images, labels = as_idx(np.zeros((2, 3, 4), "u1")), as_idx(np.zeros(2, "u1"))
        (corpus / "folder").write_bytes(b"f" + bytes([len(images) - 1]) + images + labels)
        command = [sys.executable, "-m", "tests.untrusted", str(seconds), name]
        code = subprocess.run(command, check=False).returncode
        for found in folder.glob("crash-*"):
            print(f"Failed: {found.read_bytes()!r}")  # noqa: T201
    return code


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(main(int(sys.argv[1])))
    fuzz(Path(sys.argv[2]), Path(sys.argv[2], "corpus"), int(sys.argv[1]))
