"""Random variants of faces as photos from elsewhere would have them, made for a whole batch at once, where the tensors lie.

A face comes as a *canvas*: the square around its box, `CANVAS_MARGIN` times as wide as the box's longer side, the picture's last
pixels repeated beyond its border. What a network is shown is cut from it as the pipeline would cut it, about 1.3 times as wide.
Each change is made to a share of the faces only; all of it is float N×3×H×W, 0–255.
"""

import math
import random as standard_random

import torch
from torch.nn import functional

CANVAS_MARGIN = 1.7
"""Side of a canvas in lengths of the box's longer side."""
MARGIN = 1.3
"""Side of what the pipeline cuts (the paper's 30 %)."""
SIZE = 224
EYES, EYE_DISTANCE = -0.12, 0.42
"""Of MTCNN's boxes: height of the eyes below the middle and their distance, in longer sides of the box."""
QUANTISATION = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
]).float()  # fmt: skip
"""JPEG's table for luminance at quality 50 (ITU-T T.81, annex K)."""
YCC = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)


class Random:
    """Draws from one generator on the faces' device."""

    def __init__(self, seed: int, device):
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.host = standard_random.Random(seed)

    def uniform(self, low, high, *shape):
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.device)

    def some(self, count: int, share: float) -> torch.Tensor:
        """The numbers of a random sample: a fixed share of `count`. No result waits for the device."""
        return torch.randperm(count, generator=self.generator, device=self.device)[
            : math.ceil(share * count)
        ]

    def whole(self, high, *shape):
        return torch.randint(high, shape, generator=self.generator, device=self.device)


def vary(canvases, inside, scenes, random: Random, strength: float = 1.0) -> torch.Tensor:
    """One variant of each face, N×3×224×224.

    Args:
        canvases: N×3×H×H, 0–255.
        inside: N×4, the part of each canvas that is picture: left, top, right, bottom as shares of its side.
        scenes: S×3×h×w of backgrounds, 0–255, or None.
        random: of all draws.
        strength: how often and how far, 0–1.
    """
    if scenes is not None:
        canvases = with_scenes(canvases, inside, scenes, random, 0.5 * strength)
    canvases = with_glasses(canvases, random, 0.06 * strength)
    faces = moved(canvases, random, strength)
    faces = covered(faces, random, 0.25 * strength)
    faces = lit(faces, random, strength)
    faces = coarser(faces, random, 0.3 * strength)
    faces = blurred(faces, random, 0.12 * strength)
    faces = noisy(faces, random, 0.15 * strength)
    faces = compressed(faces, random, 0.25 * strength)
    return faces.clamp(0, 255)


def cut(canvases, theta) -> torch.Tensor:
    """Affine views (theta N×2×3 in PyTorch's own coordinates) of canvases, N×3×224×224."""
    grid = functional.affine_grid(theta, (len(theta), 3, SIZE, SIZE), align_corners=False)
    return functional.grid_sample(
        canvases, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def plain(canvases) -> torch.Tensor:
    """What the pipeline would cut."""
    theta = torch.eye(2, 3, device=canvases.device) * MARGIN / CANVAS_MARGIN
    return cut(canvases, theta.expand(len(canvases), 2, 3))


def moved(canvases, random, strength):
    """Cut tighter or looser, turned by up to 20°, shifted, slightly stretched, half of them mirrored."""
    n = len(canvases)
    scale = (
        MARGIN
        / CANVAS_MARGIN
        * torch.exp(strength * random.uniform(math.log(0.84), math.log(1.28), n))
    )
    stretch = torch.exp(0.05 * strength * random.normal(n).clamp(-2, 2))
    angle = (strength * 0.14 * random.normal(n)).clamp(-0.35, 0.35)
    flip = random.whole(2, n) * 2 - 1
    shift = strength * 0.08 * random.normal(2, n).clamp(-2, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [
        torch.stack([cos * flip * stretch, -sin, shift[0]], 1),
        torch.stack([sin * flip * stretch, cos, shift[1]], 1),
    ]
    return cut(canvases, torch.stack(rows, 1))


def with_scenes(canvases, inside, scenes, random, share):
    """Pieces of scenes where a canvas reaches beyond its picture, with a soft edge."""
    chosen = random.some(len(canvases), share)
    n, side = len(chosen), canvases.shape[-1]
    pixels = (torch.arange(side, device=canvases.device) + 0.5)[None]
    left, top, right, bottom = (inside[chosen].T * side)[:, :, None]
    across = ((pixels - left) / 3).sigmoid() * ((right - pixels) / 3).sigmoid()
    down = ((pixels - top) / 3).sigmoid() * ((bottom - pixels) / 3).sigmoid()
    shown = (down[:, :, None] * across[:, None, :])[:, None]
    zoom = random.uniform(0.15, 0.9, n)
    theta = torch.zeros(n, 2, 3, device=canvases.device)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * scenes.shape[2] / scenes.shape[3], zoom
    theta[:, :, 2] = random.uniform(-1, 1, n, 2) * (1 - zoom)[:, None]
    grid = functional.affine_grid(theta, (n, 3, side, side), align_corners=False)
    pieces = functional.grid_sample(
        scenes[random.whole(len(scenes), n)].to(canvases.dtype), grid, align_corners=False
    )
    return canvases.index_copy(0, chosen, shown * canvases[chosen] + (1 - shown) * pieces)


def with_glasses(canvases, random, share):
    """Dark glasses or a bar where eyes usually are."""
    chosen = random.some(len(canvases), share)
    n, side = len(chosen), canvases.shape[-1]
    unit = side / CANVAS_MARGIN
    y, x = torch.meshgrid(
        *[(torch.arange(side, device=canvases.device) + 0.5 - side / 2) / unit] * 2, indexing="ij"
    )
    at = EYES + 0.03 * random.normal(n, 1, 1)
    x, y = x[None] - 0.03 * random.normal(n, 1, 1), y[None] - at
    width, height = random.uniform(0.11, 0.19, n, 1, 1), random.uniform(0.07, 0.13, n, 1, 1)
    power = random.uniform(2, 6, n, 1, 1)
    lens = ((x.abs() - EYE_DISTANCE / 2).abs() / width) ** power + (y.abs() / height) ** power
    bridge = torch.maximum(x.abs() / 0.45, y.abs() / 0.025)
    mask = (((1 - torch.minimum(lens, bridge)) * 12).sigmoid() * random.uniform(0.4, 1, n, 1, 1))[
        :, None
    ]
    colour = random.uniform(0, 90, n, 1, 1, 1) + random.uniform(-20, 20, n, 3, 1, 1)
    return canvases.index_copy(0, chosen, canvases[chosen] * (1 - mask) + mask * colour)


def covered(faces, random, share):
    """A rectangle of one colour, of noise or of another face lies on it; for some it hides the lower or a side half."""
    chosen = random.some(len(faces), share)
    n, side = len(chosen), faces.shape[-1]
    size = random.uniform(0.1, 0.42, 2, n)
    start = random.uniform(-0.05, 1.05, 2, n) - size / 2
    half = random.uniform(0, 1, n)
    below, beside = half < 0.15, (half > 0.15) & (half < 0.22)
    start[1] = torch.where(below, random.uniform(0.5, 0.68, n), torch.where(beside, -1.0, start[1]))
    size[1] = torch.where(below | beside, 3.0, size[1])
    start[0] = torch.where(
        below, -1.0, torch.where(beside, random.uniform(0.45, 0.65, n), start[0])
    )
    size[0] = torch.where(below | beside, 3.0, size[0])
    pixels = (torch.arange(side, device=faces.device) + 0.5)[None] / side
    across, down = (
        (pixels > s[:, None]) & (pixels < (s + e)[:, None])
        for s, e in zip(start, size, strict=True)
    )
    mask = (down[:, :, None] & across[:, None, :])[:, None]
    kind = random.whole(3, n)[:, None, None, None]
    mean = faces[chosen].mean(dim=(2, 3), keepdim=True) * random.uniform(0.3, 1.5, n, 1, 1, 1)
    patch = torch.where(
        kind == 0, faces[chosen.roll(1)].flip(2), mean + random.uniform(-40, 40, n, 3, 1, 1)
    )
    patch = patch + torch.where(kind == 1, 60.0, 0.0) * random.normal(n, 3, side, side)
    return faces.index_copy(
        0, chosen, torch.where(mask, patch.clamp(0, 255).to(faces.dtype), faces[chosen])
    )


def lit(faces, random, strength):
    """Other brightness, contrast, gamma, saturation and tint; a fifth grey."""
    n = len(faces)
    grey = (faces * YCC[0].to(faces.device)[None, :, None, None]).sum(dim=1, keepdim=True)
    saturation = (1 + 0.3 * strength * random.normal(n, 1, 1, 1)).clamp(0, 2)
    saturation[random.some(n, 0.18 * strength)] = 0
    faces = grey + (faces - grey) * saturation
    mean = faces.mean(dim=(1, 2, 3), keepdim=True)
    contrast = torch.exp(0.22 * strength * random.normal(n, 1, 1, 1))
    gain = torch.exp(
        strength * (0.2 * random.normal(n, 1, 1, 1) + 0.05 * random.normal(n, 3, 1, 1))
    )
    gamma = torch.exp(0.22 * strength * random.normal(n, 1, 1, 1))
    return 255 * (((faces - mean) * contrast + mean) * gain / 255).clamp(1e-3, 1) ** gamma


def coarser(faces, random, share):
    """Reduced to fewer pixels and enlarged again; four sizes a batch."""
    chosen = random.some(len(faces), share)
    changed = []
    for i, part in enumerate(chosen.chunk(4)):
        side = int(24 * 2 ** random.host.uniform(0, 2.6))
        small = functional.interpolate(faces[part], size=(side, side), mode="area")
        changed.append(
            functional.interpolate(
                small,
                size=faces.shape[2:],
                mode=("bilinear", "bicubic")[i % 2],
                align_corners=False,
            )
        )
    return faces.index_copy(0, chosen, torch.cat(changed)) if changed else faces


def blurred(faces, random, share):
    """Gaussian blur of up to 3 pixels' standard deviation."""
    chosen = random.some(len(faces), share)
    sigma = random.uniform(0.6, 3.0, len(chosen), 1)
    kernel = torch.exp(-((torch.arange(-7, 8, device=faces.device)[None] / sigma) ** 2) / 2)
    kernel = (
        (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, 0)[:, None].to(faces.dtype)
    )
    x = functional.pad(faces[chosen], (7, 7, 7, 7), mode="reflect").flatten(0, 1)[None]
    x = functional.conv2d(x, kernel[:, :, None, :], groups=len(kernel))
    x = functional.conv2d(x, kernel[:, :, :, None], groups=len(kernel))
    return faces.index_copy(0, chosen, x[0].unflatten(0, (-1, 3)))


def noisy(faces, random, share):
    """Noise of up to 14 levels' standard deviation."""
    chosen = random.some(len(faces), share)
    amount = random.uniform(2, 14, len(chosen), 1, 1, 1)
    return faces.index_add(
        0, chosen, (amount * random.normal(len(chosen), *faces.shape[1:])).to(faces.dtype)
    )


def compressed(faces, random, share):
    """Damaged as by JPEG of quality 10 to 70: blocks of 8×8 of luminance and of chroma at half the size, quantised."""
    chosen = random.some(len(faces), share)
    quality = random.uniform(10, 70, len(chosen), 1, 1, 1)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    ycc = YCC.to(faces.device)
    x = torch.einsum("yc,nchw->nyhw", ycc, faces[chosen])
    luminance = quantised(x[:, :1] - 128, scale) + 128
    chroma = quantised(functional.avg_pool2d(x[:, 1:], 2), scale * 1.6)
    chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    x = torch.einsum(
        "cy,nyhw->nchw",
        torch.linalg.inv(YCC).to(faces.device),
        torch.cat([luminance, chroma], dim=1),
    )
    return faces.index_copy(0, chosen, x.to(faces.dtype))


def quantised(planes, scale):
    """Planes N×C×H×W through the discrete cosine transform of 8×8 blocks, rounded to multiples of JPEG's table, and back."""
    k, i = (
        torch.arange(8, device=planes.device)[:, None],
        torch.arange(8, device=planes.device)[None],
    )
    basis = torch.cos(math.pi * (2 * i + 1) * k / 16) / 2
    basis[0] /= math.sqrt(2)
    n, c, height, width = planes.shape
    blocks = planes.reshape(n, c, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
    table = (QUANTISATION.to(planes.device) * scale[..., None, None]).clamp(min=1)
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ (torch.round(coefficients / table) * table) @ basis
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(n, c, height, width)
