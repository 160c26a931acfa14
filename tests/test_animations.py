"""Animations come back whole, with their times, as Pillow sees them; colours of GIF."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pytest

import convcli
from convcli.errors import ConvError
from convcli.formats import encode, probe, read
from convcli.formats.animation import Animation
from convcli.image import Image, ImageInfo
from faults import chunk

RNG = np.random.default_rng(0)
TIMES = [50, 120, 300, 70]
FORMATS = ["gif", "webp", "png"]


def pictures(count=4, size=(12, 16), samples=3):
    """Pictures of few colours."""
    return RNG.integers(0, 2, (count, *size, samples), np.uint8) * 255


def animation(name, frames, times=TIMES, **options):
    """What Pillow writes."""
    first, *others = map(PIL.Image.fromarray, frames)
    stream = io.BytesIO()
    more = {"lossless": True} if name == "webp" else {"disposal": 1} if name == "gif" else {}
    first.save(stream, name, save_all=True, append_images=others, duration=times[: len(frames)], **more, **options)
    return stream.getvalue()


def seen(content, mode="RGB"):
    """Pixels, times and how often it is shown, as Pillow sees them."""
    with PIL.Image.open(io.BytesIO(content)) as file:
        frames, times = [], []
        for number in range(file.n_frames):
            file.seek(number)
            frames.append(np.asarray(file.convert(mode)))
            times.append(file.info.get("duration"))
        return np.stack(frames), times, file.info.get("loop")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_an_animation_comes_back_whole_with_its_times(run, name, target):
    frames = pictures()
    Path(f"in.{name}").write_bytes(animation(name, frames, loop=0))
    np.testing.assert_array_equal(frames, seen(Path(f"in.{name}").read_bytes())[0])
    assert 0 == run("conv2d", f"in.{name}", "-k", "identity", "-q", "--force", "-o", f"o.{target}")[0]
    found, times, plays = seen(Path(f"o.{target}").read_bytes())
    np.testing.assert_array_equal(frames, found)
    assert (TIMES, 0) == (times, plays)


@pytest.mark.parametrize("name", ["webp", "png"])
def test_each_picture_is_filtered_alone(run, name):
    frames = RNG.integers(0, 256, (3, 20, 30, 3), np.uint8)
    Path(f"in.{name}").write_bytes(animation(name, frames))
    assert 0 == run("conv2d", f"in.{name}", "-k", "box:3", "-s", "2", "-q", "-o", f"o.{name}")[0]
    expected = np.stack([convcli.convolve(frame, "box:3", stride=2, axes="YXS") for frame in frames])
    np.testing.assert_array_equal(expected, seen(Path(f"o.{name}").read_bytes())[0])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("plays", [0, 1, 2, 5])
def test_how_often_it_is_shown_is_counted_alike_everywhere(name, plays):
    """GIF counts the times after the first; no number means once."""
    told = Animation((50.0, 70.0), plays)
    info = ImageInfo((2, 12, 16, 3), "uint8", "TYXS", samples="rgb", metadata={"animation": told})
    content = encode(Image(info, pictures(2)), name)
    assert told == probe(content).metadata["animation"]
    expected = {"gif": {0: 0, 1: None, 2: 1, 5: 4}[plays]}.get(name, plays)
    assert expected == seen(content)[2]


def test_some_of_the_pictures_keep_their_times(run):
    Path("in.gif").write_bytes(animation("gif", pictures()))
    assert 0 == run("conv2d", "in.gif", "-k", "identity", "--frames", "1:3", "-q", "-o", "o.png")[0]
    assert [120, 300] == seen(Path("o.png").read_bytes())[1]


@pytest.mark.parametrize("name", FORMATS)
def test_where_only_one_picture_is_held_it_is_the_first_and_that_is_said(run, name):
    frames = pictures()
    Path(f"in.{name}").write_bytes(animation(name, frames))
    code, lines = run("conv2d", f"in.{name}", "-k", "identity", "--alpha", "drop", "-o", "o.bmp")
    assert (0, True) == (code, any("animated" in line and "--frames" in line for line in lines))
    np.testing.assert_array_equal(frames[0], np.asarray(PIL.Image.open("o.bmp").convert("RGB")))


def test_a_stack_holds_all_pictures_and_the_times_are_named_as_lost(run):
    frames = pictures()
    Path("in.webp").write_bytes(animation("webp", frames))
    code, lines = run("conv2d", "in.webp", "-k", "identity", "-o", "o.tif")
    assert (0, True) == (code, any("metadata lost: times of pictures" in line for line in lines))
    np.testing.assert_array_equal(frames, read("o.tif").data[..., :3])


def test_a_stack_in_time_becomes_an_animation(run):
    frames = RNG.integers(0, 256, (3, 9, 8)).astype(np.uint16) * 200
    np.save("in.npy", frames)
    assert 0 == run("conv2d", "in.npy", "--axes", "TYX", "-k", "identity", "-q", "-o", "o.png")[0]
    found = read("o.png", options=convcli.formats.ReadOptions(frames=(None, None)))
    np.testing.assert_array_equal(frames, found.data, strict=True)
    assert (100.0,) * 3 == found.info.metadata["animation"].times
    code, lines = run("conv2d", "in.npy", "--axes", "ZYX", "-k", "identity", "-q", "-o", "z.png")
    assert (2, True) == (code, "PNG holds one picture" in lines[0])


def test_times_that_a_format_does_not_count_are_told(run):
    Path("in.png").write_bytes(animation("png", pictures(2), [33, 50]))
    code, lines = run("conv2d", "in.png", "-k", "identity", "-o", "o.gif")
    assert (0, True) == (code, any("times of pictures (they are rounded to 10 ms)" in line for line in lines))
    assert [30, 50] == seen(Path("o.gif").read_bytes())[1]


# APNG


@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_parts_of_a_canvas_are_put_together_as_pillow_puts_them(disposal):
    """Where nothing is blended: Pillow mixes opacities by its own rule."""
    frames = RNG.integers(0, 256, (5, 14, 18, 4), np.uint8)
    frames[1:, :4] = frames[0, :4]  # only a part changes, which is all that Pillow writes
    frames[3:, :, 10:] = frames[2, :, 10:]
    content = animation("png", frames, [50] * 5, disposal=disposal, blend=0)
    found = read(content, options=convcli.formats.ReadOptions(frames=(None, None))).data
    np.testing.assert_array_equal(seen(content, "RGBA")[0], found)


def idat(pixels):
    """The deflated rows of a picture, by another encoder."""
    content = bytes(imagecodecs.png_encode(pixels))
    start, parts = 8, []
    while start < len(content):
        size = int.from_bytes(content[start : start + 4], "big")
        parts += [content[start + 8 : start + 8 + size]] if content[start + 4 : start + 8] == b"IDAT" else []
        start += 12 + size
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("hidden", [False, True])
def test_parts_are_laid_over_each_other_and_taken_away_as_the_specification_says(seed, hidden):
    """Each is laid over by Pillow's alpha_composite; the still picture may be none of them."""
    rng, size = np.random.default_rng(seed), (9, 11)
    canvas, expected, parts, number = np.zeros((*size, 4), np.uint8), [], [], 0
    for index in range(6):
        top, left = (0, 0) if index == 0 else rng.integers(0, 5, 2)
        height, width = size if index == 0 else (int(rng.integers(1, 10 - top)), int(rng.integers(1, 12 - left)))
        pixels = rng.integers(0, 256, (height, width, 4), np.uint8)
        pixels[..., 3] = rng.choice([0, 60, 200, 255], (height, width))
        disposal, blend = int(rng.integers(3)), int(rng.integers(2))
        control = struct.pack(">IIIIIHHBB", number, width, height, left, top, 1, 20, disposal, blend)
        number += 1
        is_still = index == 0 and not hidden
        data = idat(pixels) if is_still else struct.pack(">I", number) + idat(pixels)
        number += not is_still
        parts += [chunk(b"fcTL", control), chunk(b"IDAT" if is_still else b"fdAT", data)]
        before, place = canvas.copy(), (slice(top, top + height), slice(left, left + width))
        below, above = (PIL.Image.fromarray(np.ascontiguousarray(part)) for part in (canvas[place], pixels))
        canvas[place] = np.asarray(PIL.Image.alpha_composite(below, above)) if blend else pixels
        expected.append(canvas.copy())
        if disposal == 1 or (disposal == 2 and index == 0):
            canvas[place] = 0
        elif disposal == 2:
            canvas = before
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 9, 8, 6, 0, 0, 0)) + chunk(b"acTL", struct.pack(">II", 6, 0))
    still = [chunk(b"IDAT", idat(np.zeros((*size, 4), np.uint8)))] if hidden else []
    content = b"\x89PNG\r\n\x1a\n" + head + b"".join([*still, *parts]) + chunk(b"IEND", b"")
    found = read(content, options=convcli.formats.ReadOptions(frames=(None, None)))
    shown = np.stack(expected).astype(int)
    opaque = shown[..., 3] > 0  # the colour of what is clear is nobody's
    np.testing.assert_array_equal(shown[..., 3], found.data[..., 3])
    assert abs(shown - found.data)[opaque].max() <= 2
    assert (50.0,) * 6 == found.info.metadata["animation"].times


def test_an_animation_that_holds_other_pictures_than_it_declares_is_damaged():
    content = animation("png", pictures(3), [50] * 3)
    place = content.index(b"acTL") + 4
    changed = content[: place - 8] + chunk(b"acTL", b"\0\0\0\4\0\0\0\0") + content[place + 12 :]
    with pytest.raises(ConvError, match="declares 4 pictures, and holds others"):
        read(changed, options=convcli.formats.ReadOptions(frames=(None, None)))


# Colours of GIF


def coloured(pixels):
    samples = {2: "grey+alpha", 3: "rgb", 4: "rgb+alpha"}[pixels.shape[2]]
    return encode(Image(ImageInfo(pixels.shape, "uint8", "YXS", samples=samples), pixels), "gif")


@pytest.mark.parametrize("count", [1, 2, 100, 256])
def test_up_to_256_colours_are_kept(count):
    palette = RNG.integers(0, 256, (count, 3), np.uint8)
    pixels = palette[RNG.integers(0, count, (40, 50))]
    np.testing.assert_array_equal(pixels, seen(coloured(pixels))[0][0])


@pytest.mark.parametrize("count", [1, 255])
def test_clear_is_one_of_256(count):
    palette = RNG.integers(0, 256, (count, 3), np.uint8)
    pixels = np.dstack(
        [palette[RNG.integers(0, count, (40, 50))], RNG.choice([0, 127, 128, 255], (40, 50)).astype(np.uint8)]
    )
    found = seen(coloured(pixels), "RGBA")[0][0]
    np.testing.assert_array_equal(pixels[..., 3] >= 128, found[..., 3] == 255)
    np.testing.assert_array_equal(pixels[found[..., 3] > 0, :3], found[found[..., 3] > 0, :3])


def test_more_colours_are_mixed_from_256():
    y, x = np.mgrid[:64, :96]
    pixels = np.stack([y * 4, x * 2, 255 - y * 2 - x], axis=-1).clip(0, 255).astype(np.uint8)
    found = seen(coloured(pixels))[0][0]
    assert 256 >= len(np.unique(found.reshape(-1, 3), axis=0))

    def blurred(image):
        return np.stack(
            [np.convolve(image[..., s].astype(float).mean(axis=0), np.ones(8) / 8, "valid") for s in range(3)]
        )

    assert abs(pixels.astype(int) - found).mean() < 12
    assert abs(blurred(pixels) - blurred(found)).max() < 3  # from afar they are the same


def test_what_gif_does_to_colours_is_said(run):
    PIL.Image.fromarray(pictures(1)[0]).save("in.png")
    code, lines = run("conv2d", "in.png", "-k", "box:3", "-o", "o.gif")
    assert (0, True) == (code, any("GIF holds 256 colours" in line for line in lines))
