"""What files call the channels of an image."""

from __future__ import annotations

from convcli.image import ImageInfo


def channel_names(info: ImageInfo) -> tuple[str, ...]:
    """The names of an image's channels along C, as OME-XML, OME-Zarr or ImageJ's labels tell; () where none do."""
    found: tuple[str, ...] = ()
    if "ome" in info.metadata:
        from convcli.formats.tiff import ome

        found = tuple(each.get("Name", "") for each in ome.named(ome.parse(info.metadata["ome"]), "Channel"))
    elif "imagej" in info.metadata:
        labels = info.metadata["imagej"].get("Labels", ())
        planes = info.size("T") * info.size("Z") * info.size("C")
        found = tuple(labels[: info.size("C")]) if not isinstance(labels, str) and len(labels) == planes else ()
    elif "zarr" in info.metadata:
        channels = info.metadata["zarr"].omero.get("channels", ())
        found = tuple(str(each.get("label", "")) for each in channels if isinstance(each, dict))
    return found if len(found) == info.size("C") else ()
