"""Mutate files, guided by coverage: ``python -m tests.robustness.untrusted SECONDS [images]``.

It needs atheris, mutates valid files for so long, of IDX or of images, and ends with an error
at the first content that `examine_file`, `examine_folder` or `examine_image`
does not like; it is printed then. Nothing is left on the disk.
"""

import gzip
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

LONGEST = 4096
"""Bytes of the longest content."""


def idx_examiner(folder, atheris):
    """A function that examines bytes as files of the IDX format."""
    with atheris.instrument_imports(include=["skcnn.datasets"]):
        from tests.robustness.untrusted.readers import examine_file, examine_folder

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

    return one


def image_examiner(folder, atheris):
    """A function that examines bytes as an image."""
    with atheris.instrument_imports(include=["skcnn.datasets", "PIL"]):
        from tests.robustness.untrusted.images import examine_image

    return lambda data: examine_image(folder / "image", data)


def fuzz(folder, corpus, seconds, examiner):
    """Run atheris, which ends the process."""
    import atheris

    one = examiner(folder, atheris)
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(corpus)], one)
    atheris.Fuzz()


def write_idx(corpus):
    """Files to begin with, of the IDX format."""
    import numpy as np

    from tests.robustness.untrusted.readers import as_idx, valid_files

    for i, content in enumerate(valid_files()):
        how = b"p" if content.startswith(b"\x1f\x8b") else b"z"
        (corpus / f"{i}-p").write_bytes(b"p" + content)
        (corpus / f"{i}-z").write_bytes(how + content)
    images, labels = as_idx(np.zeros((2, 3, 4), "u1")), as_idx(np.zeros(2, "u1"))
    (corpus / "folder").write_bytes(b"f" + bytes([len(images) - 1]) + images + labels)


def write_images(corpus):
    """Images to begin with."""
    from tests.robustness.untrusted.images import valid_images

    for i, content in enumerate(valid_images()):
        (corpus / str(i)).write_bytes(content)


KINDS = {"idx": (write_idx, idx_examiner), "images": (write_images, image_examiner)}


def main(seconds, kind):
    """Run `fuzz` in a process of its own on a folder that is deleted afterwards."""
    with TemporaryDirectory() as name:
        folder, corpus = Path(name), Path(name, "corpus")
        corpus.mkdir()
        KINDS[kind][0](corpus)
        command = [sys.executable, "-m", "tests.robustness.untrusted", str(seconds), kind, name]
        code = subprocess.run(command, check=False).returncode
        for found in folder.glob("crash-*"):
            print(f"Failed: {found.read_bytes()!r}")  # noqa: T201
    return code


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else "idx"))
    folder = Path(sys.argv[3])
    fuzz(folder, folder / "corpus", int(sys.argv[1]), KINDS[sys.argv[2]][1])
