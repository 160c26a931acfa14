"""Files in, files out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convcli import formats
from convcli.api.images import taken, told
from convcli.filters.selection import parse_frames
from convcli.formats.contract import ReadOptions
from convcli.formats.pixels import as_image
from convcli.formats.units import with_spacing
from convcli.image import Image

if TYPE_CHECKING:
    from convcli.formats import Writable
    from convcli.formats.source import Readable


def read(path: Readable, *, axes: str | None = None, level: int = 0, frames: str | int = "") -> Image:
    """Read an image with its pixels.

    Parameters
    ----------
    path : str, path, bytes or file object
        A name, a file's content, or a file opened for reading.
    axes : str, optional
        The letters of an array's dimensions (.npy, .npz, .zarr), such as "TZCYX".
    level : int, optional
        Which of several resolutions of an OME-Zarr, from the finest, 0.
    frames : str or int, optional
        Which pictures of an animation or a stack: 3, "2:10", "all"; by default all of a stack, one of an animation.

    Returns
    -------
    Image
        `data` are the pixels in the machine's byte order; `info` is what the file says of them: `shape`, `dtype`,
        `axes`, `spacing`, `samples`, `notes`, ...

    Raises
    ------
    ConvError
        With a `code` in a word: "not-found", "unknown-format", "corrupt", "too-large", ...

    Examples
    --------
    >>> image = read(b"P2 2 1 255 7 9")
    >>> image.info.axes, image.data.tolist()
    ('YX', [[7, 9]])
    """
    image = formats.read(path, options=ReadOptions(axes=axes, level=level, frames=parse_frames(str(frames))))
    return told(image.info, image.data)


def write(
    path: Writable,
    image: Image | Any,
    *,
    axes: str | None = None,
    format: str | None = None,  # noqa: A002 - the word of the command line
    force: bool = False,
    spacing: str | None = None,
) -> None:
    """Write an image, whole or not at all.

    Parameters
    ----------
    path : str, path or file object
        A name whose ending tells the format, or a file opened for writing. A Zarr is a folder.
    image : Image or array_like
        What is written; an `Image` keeps what its file said, as far as the format holds it.
    axes : str, optional
        The letters of the dimensions; two are YX, more need it.
    format : str, optional
        The format where the name does not tell.
    force : bool, optional
        Replace a file that exists.
    spacing : str, optional
        How far apart samples are: "0.5um" along Y and X, or "2,0.2,0.2um" for each spatial axis.

    Raises
    ------
    ConvError
        With a `code` in a word: "exists", "dtype", "shape", "disk-full", ...

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write(file, [[7, 9]], format="npy")
    >>> read(file.getvalue()).data.tolist()
    [[7, 9]]
    """
    if spacing is not None:
        image, axes = _spaced(image, axes, spacing)
    if isinstance(path, (str, os.PathLike)):
        name = os.fspath(path)
        entry = formats.format_for(name, format)
        if entry.folder:
            from convcli.runs.levels import store_image

            store_image(as_image(image, axes, alpha=False), name, entry, force=force)
            return
    formats.write(path, image, axes=axes, format=format, force=force)


def _spaced(image: Any, axes: str | None, spacing: str) -> tuple[Image, str | None]:
    """An image with its samples so far apart, and its axes where they were named."""
    from convcli.requests.run import parse_spacing

    info, pixels = taken(image, axes)
    named = axes if isinstance(image, Image) else info.axes
    return Image(with_spacing(info, parse_spacing(spacing)), pixels), named
