"""Films of drawn faces that move as a test says, and what can be done to a film's file: cut it, turn it, change its times."""

import dataclasses
import struct
from pathlib import Path

import cv2
import numpy as np

from safbage import images
from safbage.datasets import drawn

SIZE = (240, 432)
"""Height and width of the films."""


def people(count, *, seed=0, side=112):
    """Pictures of drawn people, side×side×3, each with one face; and the middle of each face, from 0 to 1."""
    generator = np.random.default_rng(seed)
    pictures = []
    for i in range(count):
        factors = drawn.draw_factors(generator, age_group="25-32", gender=("female", "male")[i % 2])
        factors = dataclasses.replace(
            factors, yaw=0.0, roll=0.0, noise=0.0, blur=0.0, scale=1.1, shift=(0.0, 0.0)
        )
        pictures.append(drawn.render(factors, (side, side)))
    return pictures


def scene(pictures, places, size=SIZE):
    """A frame: pictures, pasted in their order with the left upper corner at each place (x, y); None leaves one out."""
    frame = np.full((*size, 3), 90, "uint8")
    frame[:, :, 2] = np.linspace(60, 140, size[1]).astype("uint8")
    for picture, place in zip(pictures, places, strict=True):
        if place is not None:
            _paste(frame, picture, [round(v) for v in place])
    return frame


def _paste(frame, picture, place):
    x, y = place
    height, width = picture.shape[:2]
    left, top = max(0, x), max(0, y)
    right, bottom = min(frame.shape[1], x + width), min(frame.shape[0], y + height)
    if left < right and top < bottom:
        frame[top:bottom, left:right] = picture[top - y : bottom - y, left - x : right - x]


def write(path, frames, *, fps=25.0, codec=None):
    """Write frames (RGB) as a film; the suffix chooses the container."""
    codecs = {".avi": "XVID", ".webm": "VP80"}
    path, writer = Path(path), None
    code = cv2.VideoWriter_fourcc(*(codec or codecs.get(path.suffix, "mp4v")))
    for frame in frames:
        if writer is None:
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, frame.shape[1::-1])
            assert writer.isOpened()
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def grey(count, size=(48, 64)):
    """Frames that tell their number by how bright they are: 5 levels more each."""
    return (np.full((*size, 3), 5 * (i % 50), "uint8") for i in range(count))


def walk(count, begin, end, *, over=1.0):
    """Places of one who walks from `begin` to `end` in the first `over` of all frames, evenly."""
    shares = np.clip(np.arange(count) / max(1, over * (count - 1)), 0, 1)
    return [tuple(np.array(begin) + share * (np.array(end) - begin)) for share in shares]


def crossing(path, *, seconds=6, fps=12.5):
    """Three people: two cross each other's way at two heights that overlap in part, the third goes down the middle and back.

    Returns the path and, for each frame, where each person's picture is.
    """
    count = round(seconds * fps)
    pictures = people(3)
    ways = [
        walk(count, (0, 4), (300, 30)),
        walk(count, (310, 120), (10, 96)),
        walk(count, (160, 124), (300, 4)),
    ]
    places = list(zip(*ways, strict=True))
    return write(path, (scene(pictures, at) for at in places), fps=fps), places


def apart(path, *, seconds=2, fps=12.5):
    """Three people who move a little, and never hide one another."""
    count = round(seconds * fps)
    ways = [((0, 4), (20, 10)), ((150, 60), (166, 68)), ((310, 120), (294, 116))]
    places = zip(*(walk(count, *way) for way in ways), strict=True)
    pictures = people(3)
    return write(path, (scene(pictures, at) for at in places), fps=fps)


def crowd(path, count=6, *, seconds=20, fps=12.5, seed=3, size=(480, 854), side=150):
    """People who walk to and fro at speeds of their own, one in front of another: harder than `crossing`."""
    generator = np.random.default_rng(seed)
    limits = np.array([size[1] - side, size[0] - side])
    begin = generator.uniform(0, 1, (count, 2)) * limits
    speed = (
        generator.uniform(0.06, 0.3, (count, 2)) * limits * generator.choice([-1, 1], (count, 2))
    )
    times = np.arange(round(seconds * fps)) / fps
    away = begin[None] + speed[None] * times[:, None, None]
    turned_back = np.abs((away + limits) % (2 * limits) - limits)  # reflected at the border
    places = [[tuple(place) for place in frame] for frame in turned_back]
    pictures = people(count, seed=seed, side=side)
    return write(path, (scene(pictures, at, size) for at in places), fps=fps), places


def mixed(path, *, seconds, fps=25.0, size=(720, 1280)):
    """Two drawn people and a photographed one, who walk about; as many frames as it takes."""
    astronaut = images.resize(images.astronaut()[0:300, 80:380], (280, 280))
    pictures = [*people(2, seed=1, side=280), astronaut]
    limits = np.array([size[1] - 280, size[0] - 280])

    def frames():
        for i in range(round(seconds * fps)):
            angles = i / fps * np.array([0.31, 0.23, 0.17]) + [0, 2, 4]
            places = [limits * (0.5 + 0.5 * np.array([np.sin(a), np.cos(1.3 * a)])) for a in angles]
            yield scene(pictures, places, size)

    return write(path, frames(), fps=fps)


def webcam(path, *, seconds=8, fps=30, size=(720, 1280), side=560, empty=0.0):
    """A film that Chromium plays as a camera, round and round: one person at a desk, who sways. For a share `empty` of the time,
    in the middle, nobody is there.

    It is Motion JPEG without a container (`.mjpeg`): JPEGs, one after another.
    """
    (person,) = people(1, seed=1, side=side)
    middle = np.array([size[1] - side, size[0] - side]) / 2
    count = round(seconds * fps)
    with open(path, "wb") as file:
        for i in range(count):
            angle = 2 * np.pi * i / count
            place = middle + middle * [0.35 * np.sin(angle), 0.2 * np.cos(2 * angle)]
            gone = abs(i / count - 0.5) < empty / 2
            file.write(images.encode(scene([person], [None if gone else tuple(place)], size)))
    return Path(path)


# --- what is done to a file of MPEG-4 ------------------------------------------------------------------------------------


def boxes(data, path, start=0, end=None):
    """Where the box of a path such as ("moov", "trak") begins and ends, and those around it, outermost first."""
    end = len(data) if end is None else end
    while start < end:
        size, name = struct.unpack(">I4s", data[start : start + 8])
        if name == path[0].encode():
            inner = boxes(data, path[1:], start + 8, start + size) if path[1:] else []
            return [(start, start + size), *inner]
        start += size
    raise AssertionError(f"no box {path[0]}")


def turned(source, target):
    """The film with the note in its header that it is to be shown turned by 90° to the right."""
    data = bytearray(Path(source).read_bytes())
    start = boxes(data, ("moov", "trak", "tkhd"))[-1][0]
    matrix = start + 8 + 4 + 20 + 16  # version 0
    one = 1 << 16
    data[matrix : matrix + 36] = struct.pack(
        ">9i", 0, one, 0, -one, 0, 0, SIZE[1] << 16, 0, 1 << 30
    )
    Path(target).write_bytes(data)
    return Path(target)


def slowed(source, target, *, first, factor):
    """The film, whose index lies at its end, with frames of `factor` times the length after the first so many: a variable rate."""
    data = bytearray(Path(source).read_bytes())
    around = boxes(data, ("moov", "trak", "mdia", "minf", "stbl", "stts"))
    start, end = around[-1]
    entries, count, delta = struct.unpack(">III", data[start + 12 : start + 24])
    assert entries == 1
    table = struct.pack(">IIIII", 2, first, delta, count - first, factor * delta)
    data[start + 12 : end] = table
    for begin, _ in around:
        (size,) = struct.unpack(">I", data[begin : begin + 4])
        data[begin : begin + 4] = struct.pack(">I", size + 8)
    edits = boxes(data, ("moov", "trak", "edts"))[-1][
        0
    ]  # the list that would end it where it ended before
    data[edits + 4 : edits + 8] = b"free"
    Path(target).write_bytes(data)
    return Path(target)


def cut(source, target, share):
    """The first part of a film's file."""
    data = Path(source).read_bytes()
    Path(target).write_bytes(data[: int(share * len(data))])
    return Path(target)


def shown(image):
    """The number that a frame of `grey` tells."""
    return round(float(images.as_rgb(image).mean()) / 5)
