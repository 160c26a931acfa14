"""DICOM files of our own, by pydicom."""

import io

import numpy as np


def dicom(pixels, *, syntax="1.2.840.10008.1.2.1", **fields):
    """A file of one picture, or of many frames, with what else is said of it."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    dataset.PatientName, dataset.SeriesInstanceUID = "Doe^Jane", "1.2.3"
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    dataset.Rows, dataset.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    if pixels.ndim == 3 + colour:
        dataset.NumberOfFrames = len(pixels)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3 if colour else 1, 0
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in fields.items():
        setattr(dataset, name, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


ACROSS, DOWN = (0.0, 1.0, 0.0), (0.6, 0.0, -0.8)
NORMAL = np.cross(ACROSS, DOWN)
FIRST = np.array([10.0, -20.0, 30.0])


def slices(volume, *, step=2.5, skipped=(), **fields):
    """Files of the planes of a volume, oblique in the patient, each a dictionary's value under a name in no order."""
    return {
        f"IM{(number * 7) % len(volume):03}.dcm": dicom(
            plane,
            **{
                "ImagePositionPatient": [round(float(part), 6) for part in FIRST + NORMAL * step * number],
                "ImageOrientationPatient": [*ACROSS, *DOWN],
                "PixelSpacing": [0.5, 0.75],
                "SliceThickness": step,
                "InstanceNumber": number,
                **{name: value(number) if callable(value) else value for name, value in fields.items()},
            },
        )
        for number, plane in enumerate(volume)
        if number not in skipped
    }
