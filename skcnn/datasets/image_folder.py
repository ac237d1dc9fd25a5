"""Loaders that turn image files, and folders of them, into one array for the estimators.

Every subfolder is a class. `image_file.py` reads single files; it needs Pillow and is
therefore imported only when used. Pickled pipelines with a reader refer to `load_images`
by the path of this module.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import Bunch

from skcnn._estimator.user_warnings import warn_user
from skcnn._hyperparameters import check_choice, check_int, check_pair, check_real
from skcnn.datasets.class_folders import check_names, concerns_file, described, find_classes
from skcnn.datasets.file_reading import check_jobs, read_files, stack_rows
from skcnn.datasets.file_warnings import NAMED
from skcnn.datasets.npy_file import write_npy
from skcnn.datasets.paths import PathLike, check_path
from skcnn.files import check_replaceable

if TYPE_CHECKING:
    from skcnn.datasets.image_file import ImageForm

COLORS = ("rgb", "grey")
RESIZES = ("crop", "pad")
ERRORS = ("raise", "skip")


def load_images(
    files: PathLike | Iterable[PathLike],
    shape: int | tuple[int, int],
    color: str = "rgb",
    *,
    resize: str = "crop",
    background: int | tuple[int, int, int] = 255,
    value_range: tuple[float, float] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> np.ndarray:
    """Load image files, each resized to the same shape.

    The preprocessing is exactly that of :func:`load_image_folder` with the same
    parameters, so use this function for the images that a model is to predict.

    Parameters
    ----------
    files : path or iterable of paths
        The files, in any format that Pillow reads. A single path counts as a list
        of one.
    shape : int or (int, int)
        Height and width of every image in the result.
    color : {"rgb", "grey"}, default="rgb"
        Whether the images have three channels or one.
    resize : {"crop", "pad"}, default="crop"
        Images are enlarged or reduced without changing their proportions. "crop"
        then cuts off the excess on two sides; "pad" shows the whole image and
        fills the gaps on two sides with `background`.
    background : int or (int, int, int), default=255
        What is behind transparent pixels and beside padded images, from 0,
        black, to 255, white; three numbers are red, green and blue.
    value_range : (number, number) or None, default=None
        The values that mean black and white in grey images of more than 8 bits,
        for instance (0, 4095) for a camera of 12 bits, or (0, 1); what is
        beyond them becomes black or white. None takes 0 and 65535, and refuses
        floating-point numbers and values beyond these. Images of 8 bits are not
        concerned.
    n_jobs : int or None, default=None
        Number of threads that read, as joblib understands it: None is one, -1
        one for each core. The result is the same.
    verbose : int, default=0
        Joblib's reports of progress: the higher, the more frequent.

    Returns
    -------
    ndarray of uint8 of shape (n, height, width, 3) or (n, height, width)
        The images, 0 to 255, with three channels and with one.

    Raises
    ------
    ImportError
        If Pillow is not installed (``pip install "skcnn[images]"``).
    ValueError
        If a parameter is not as described, or a file is damaged, not an image
        or larger than ``PIL.Image.MAX_IMAGE_PIXELS``; the message names it.
    OSError
        If a file cannot be read.

    See Also
    --------
    load_image_folder : Load a folder for each class.

    Notes
    -----
    Images are turned upright by their EXIF orientation. Animations and documents
    of several pages yield their first image. Colour profiles are not applied. Large
    JPEG files are decoded at a fraction of their size, at least twice the requested
    one, which takes a fraction of the time.

    Grey of more than 8 bits (PNG, TIFF, JPEG 2000, PGM) is scaled to 8 from black
    to white, as set by `value_range`. A warning names images that fill less than a
    sixteenth of that range, of which few grey values remain, or only black. Of
    16-bit colour, Pillow keeps the upper eight bits.

    Damage is detected only if Pillow detects it: a changed byte inside JPEG data
    gives a different image, not an error.

    Examples
    --------
    >>> from pathlib import Path
    >>> import sklearn.datasets
    >>> from skcnn.datasets import load_images
    >>> folder = Path(sklearn.datasets.__file__).with_name("images")
    >>> load_images([folder / "china.jpg", folder / "flower.jpg"], (48, 64)).shape
    (2, 48, 64, 3)
    >>> load_images(folder / "china.jpg", 32, "grey").shape
    (1, 32, 32)

    A pipeline from files to predictions keeps the parameters with the model:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skcnn import ScratchCNNClassifier
    >>> reader = FunctionTransformer(load_images, kw_args={"shape": (32, 32)})
    >>> model = make_pipeline(reader, ScratchCNNClassifier())
    """
    form = _image_form("load_images", shape, color, resize, background, value_range)
    paths = _paths(files)
    check_int("load_images", "verbose", verbose, 0)
    check_jobs("load_images", n_jobs)
    with closing(read_files(paths, form.read, n_jobs, verbose)) as images:
        return stack_rows(images, len(paths), form.shape)


def load_image_folder(
    path: PathLike,
    shape: int | tuple[int, int],
    color: str = "rgb",
    *,
    resize: str = "crop",
    background: int | tuple[int, int, int] = 255,
    value_range: tuple[float, float] | None = None,
    target_names: Iterable[str] | None = None,
    errors: str = "raise",
    memmap: PathLike | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bunch:
    """Load images from a folder with one subfolder per class.

    ::

        photographs/
            cat/
                0001.jpg
                holidays/0002.png
            dog/
                0003.jpg

    The classes are the names of the folders, in sorted order. All files in them
    and in their subfolders are images, also in sorted order. Hidden files, whose
    names begin with a dot, are left out, and so are files directly in `path`.

    Parameters
    ----------
    path : path
        The folder.
    shape : int or (int, int)
        Height and width of every image in the result.
    color : {"rgb", "grey"}, default="rgb"
        Whether the images have three channels or one.
    resize : {"crop", "pad"}, default="crop"
        Treatment of images of other proportions, see :func:`load_images`.
    background : int or (int, int, int), default=255
        What is behind transparent pixels and beside padded images, from 0,
        black, to 255, white; three numbers are red, green and blue.
    value_range : (number, number) or None, default=None
        The values that mean black and white in grey images of more than 8 bits,
        for instance (0, 4095) for a camera of 12 bits, or (0, 1); what is
        beyond them becomes black or white. None takes 0 and 65535, and refuses
        floating-point numbers and values beyond these. Images of 8 bits are not
        concerned.
    target_names : iterable of str or None, default=None
        The names of the classes in the order of their numbers, such as
        ``bunch.target_names`` of another folder, which gives both the same numbers.
        A class without a folder has no images; a folder of another name is an
        error. None uses the existing folders.
    errors : {"raise", "skip"}, default="raise"
        Treatment of files that are damaged or not images, of files, folders and
        links that cannot be opened, and of classes without files: raise an error,
        or skip them with a warning that names them. If a class has files, at
        least one must be readable.
    memmap : path or None, default=None
        File for the images, in NumPy's format, if they may not fit into memory:
        they are written there one by one, and the result is mapped from it. An
        older file is replaced at the end; if loading fails, it stays unchanged.
        ``numpy.load(memmap, mmap_mode="r")`` opens it again.
    n_jobs : int or None, default=None
        Number of threads that read, as joblib understands it: None is one, -1
        one for each core. The result is the same.
    verbose : int, default=0
        Joblib's reports of progress: the higher, the more frequent.

    Returns
    -------
    Bunch
        A dictionary whose entries are also attributes:

        images : ndarray of uint8 of shape (n, height, width, 3) or (n, height, width)
            The images, 0 to 255.
        target : ndarray of int of shape (n,)
            The class of each, as an index into `target_names`.
        target_names : ndarray of str
            The names of the classes.
        filenames : ndarray of str of shape (n,)
            The file of each image.
        skipped : ndarray of str
            The files and folders that were left out because they could not be
            read, or held no files.
        DESCR : str
            A description of the loaded images.

    Raises
    ------
    ImportError
        If Pillow is not installed (``pip install "skcnn[images]"``).
    ValueError
        If a parameter is not as described, the folder contains no classes, a class
        no images, or (with ``errors="raise"``) a file no readable image; the
        message names it.
    OSError
        If a file or folder cannot be read, or `memmap` cannot be written.

    See Also
    --------
    load_images : Load files, for instance those to predict. Its notes describe the
        preprocessing.

    Notes
    -----
    Links are followed, and may form loops: each class reads a folder once, even if
    several links lead to it, and never one that contains `path`. A file with
    several links counts as several images.

    Names that differ only in their Unicode form (a letter and its accent as one
    character or as two) are one class, in the composed form (NFC).

    Examples
    --------
    >>> import shutil, tempfile
    >>> from pathlib import Path
    >>> import sklearn.datasets
    >>> from skcnn.datasets import load_image_folder
    >>> photographs = Path(sklearn.datasets.__file__).with_name("images")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("china", "flower"):
    ...         place = Path(folder, name)
    ...         place.mkdir()
    ...         _ = shutil.copy(photographs / f"{name}.jpg", place)
    ...     bunch = load_image_folder(folder, shape=(32, 48))
    >>> bunch.images.shape, bunch.target, bunch.target_names.tolist()
    ((2, 32, 48, 3), array([0, 1]), ['china', 'flower'])
    """
    caller = "load_image_folder"
    form = _image_form(caller, shape, color, resize, background, value_range)
    names = check_names(caller, target_names)
    skip = check_choice(caller, "errors", errors, ERRORS) == "skip"
    check_int(caller, "verbose", verbose, 0)
    check_jobs(caller, n_jobs)
    path = check_path(caller, "path", path)
    if memmap is not None:
        memmap = _writable(caller, memmap)
    found = find_classes(path, names, skip, caller)
    names, paths, target = found.names, found.paths, found.target

    failed: dict[int, str] = {}
    left = np.bincount(target, minlength=len(names))

    def attempt(file: Path) -> np.ndarray | Exception:
        try:
            return form.read(file)
        except (ValueError, OSError) as error:
            if skip and concerns_file(error):
                return error
            if isinstance(error, OSError):
                raise
            raise ValueError(f'{error} With errors="skip", such files are left out.') from error

    def readable(results: Iterable[Any]) -> Iterator[np.ndarray]:
        for place, result in enumerate(results):
            if not isinstance(result, Exception):
                yield result
                continue
            failed[place] = described(paths[place], result)
            left[target[place]] -= 1
            if not left[target[place]]:
                raise ValueError(
                    f"{path / names[target[place]]}: none of its files can be read; the last: "
                    f"{failed[place]}"
                )
        _warn_of_skipped(list(failed.values()), len(paths), list(found.left_out.values()))

    with closing(read_files(paths, attempt, n_jobs, verbose)) as results:
        if memmap is None:
            images = stack_rows(readable(results), len(paths), form.shape)
        else:
            images = write_npy(memmap, readable(results), len(paths), form.shape)
    filenames = np.array([str(file) for file in paths])
    kept = np.ones(len(paths), bool)
    kept[list(failed)] = False
    counts = ", ".join(f"{names[k]} ({number})" for k, number in enumerate(left))
    return Bunch(
        images=images,
        target=target[kept],
        target_names=np.array(names),
        filenames=filenames[kept],
        skipped=np.array([*filenames[~kept], *map(str, found.left_out)], dtype=str),
        DESCR=(
            f"{len(images)} images of {len(names)} classes from {path}: {counts}.\n"
            f"Height {form.height}, width {form.width}, color {color!r}, resize {resize!r}, "
            f"background {background}, value_range {value_range}; {len(failed)} files and "
            f"{len(found.left_out)} folders were left out."
        ),
    )


def _warn_of_skipped(files: list[str], of: int, folders: list[str]) -> None:
    """Warn of skipped files, out of `of`, and folders, each with its reason."""
    if not files and not folders:
        return
    counts = [f"{len(files)} of {of} files"] if files else []
    if folders:
        counts.append("1 folder" if len(folders) == 1 else f"{len(folders)} folders")
    reasons = [*folders, *files]
    named = reasons[:NAMED]
    if len(reasons) > NAMED:
        named.append(f"and {len(reasons) - NAMED} more, see `skipped`")
    verb = "was" if counts == ["1 folder"] else "were"
    warn_user(f"{' and '.join(counts)} {verb} left out: {' '.join(named)}")


def _image_form(
    caller: str, shape: Any, color: Any, resize: Any, background: Any, value_range: Any
) -> "ImageForm":
    from skcnn.datasets.image_file import ImageForm

    height, width = check_pair(caller, "shape", shape, 1)
    check_choice(caller, "color", color, COLORS)
    check_choice(caller, "resize", resize, RESIZES)
    several = isinstance(background, (tuple, list, np.ndarray))
    values = list(background) if several else [background] * 3
    try:
        if len(values) != 3 or (several and color == "grey"):
            raise ValueError
        red, green, blue = (check_int(caller, "background", value, 0) for value in values)
        if max(red, green, blue) > 255:
            raise ValueError
    except ValueError:
        allowed = "an int from 0 to 255" + (" or three of them" if color == "rgb" else "")
        raise ValueError(
            f"{caller}: background must be {allowed} with color={color!r}, got {background!r}."
        ) from None
    levels = None if value_range is None else _check_range(caller, value_range)
    return ImageForm(height, width, color, resize, (red, green, blue), levels)


def _check_range(caller: str, value: Any) -> tuple[float, float]:
    try:
        black, white = (
            check_real(caller, "value_range", number, -np.inf, np.inf, bounds="()")
            for number in value
        )
        if black == white or not np.isfinite(white - black):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"{caller}: value_range must be None or two different numbers, the values of black and "
            f"of white, got {value!r}."
        ) from None
    return black, white


def _paths(files: Any) -> list[Path]:
    must = "load_images: files must be"
    if isinstance(files, (str, os.PathLike)):
        return [check_path("load_images", "files", files)]
    shape = getattr(files, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:  # a table would yield its column names
        hint = ' Pass one column of a table, such as frame["file"].' if len(shape) == 2 else ""
        raise ValueError(f"{must} a path or a list of paths, got the shape {shape}.{hint}")
    try:
        several = None if isinstance(files, Mapping) else list(files)
    except TypeError:
        several = None
    if several is None:
        raise ValueError(f"{must} a path or several, got {files!r}.")
    for place, file in enumerate(several):
        if not isinstance(file, (str, os.PathLike)):
            raise ValueError(f"{must} paths, got files[{place}] = {file!r}.")
    return [
        check_path("load_images", f"files[{place}]", file) for place, file in enumerate(several)
    ]


def _writable(caller: str, memmap: Any) -> Path:
    """Return the path of a file that can be written."""
    if not isinstance(memmap, (str, os.PathLike)):
        raise ValueError(f"{caller}: memmap must be None or a path, got {memmap!r}.")
    memmap = check_path(caller, "memmap", memmap)
    if os.path.isdir(memmap):
        raise IsADirectoryError(f"{caller}: memmap must be a file, but {memmap} is a folder.")
    if not memmap.parent.is_dir():
        raise FileNotFoundError(f"{caller}: memmap={str(memmap)!r} is in a folder that is missing.")
    check_replaceable(memmap, f"{caller}: memmap")
    return memmap
