"""Deep features: activations of the penultimate layer of a network.

The network is that of a bundle, or one of MONAI's with given weights. ``torch`` is imported when an embedding is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
from pydantic import Field, model_validator

from medray.bundles.bundle import Bundle, open_bundle
from medray.data import store
from medray.errors import BundleError, ConfigError, Excluded, InputError
from medray.features.family import Extracted, Feature, explained
from medray.imaging.op import luminance
from medray.imaging.preprocess import PreprocessSpec, preprocess
from medray.models.abilities import EmbeddingModel
from medray.source import source_fingerprint
from medray.spec import Spec, fingerprint
from medray.types import Float32, Image

if TYPE_CHECKING:
    from medray.models.backbone import Backbone

Network = Literal[
    "resnet10",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "densenet121",
    "densenet169",
    "efficientnet-b0",
    "efficientnet-b3",
]
Device = Literal["auto", "cpu", "cuda"]


class WeightsSpec(Spec):
    """A network of MONAI with weights from a safetensors file, and how its images are prepared."""

    network: Network = Field(description="as MONAI names it")
    weights: str = Field(description="URI of a safetensors file; the tensors of the last layer may be left out")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="of the file; checked when it is given")
    preprocess: PreprocessSpec = Field(description="must end in images of one size")
    channels: Literal[1, 3] = Field(1, description="channels that the network takes; the grey channel is repeated")
    first_stride: Literal[1, 2] = Field(
        1, description="of a ResNet's first convolution: 1 as MONAI has it, 2 as torchvision does"
    )
    mean: tuple[float, ...] = Field(
        (0.0,), description="subtracted from the preprocessed pixels; one number, or one for each channel"
    )
    deviation: tuple[float, ...] = Field((1.0,), description="divides the pixels after that; one number, or one for each channel")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.preprocess.output_shape is None:
            raise ValueError("preprocess must end in images of one size, for example by resize")
        if not {len(self.mean), len(self.deviation)} <= {1, self.channels}:
            raise ValueError(f"mean and deviation take one number, or one for each of {self.channels} channels")
        if min(self.deviation) <= 0:
            raise ValueError("deviation must be positive")
        return self


class EmbeddingSpec(Spec):
    """Where the network comes from: a bundle, or a file of weights."""

    name: str = Field("network", pattern="^[a-z0-9][a-z0-9_-]*$", description="part of the names of the columns")
    bundle: str | None = Field(None, description="URI of a bundle of a network; its own preprocessing applies")
    weights: WeightsSpec | None = Field(None, description="in place of a bundle: a network of MONAI and its weights")
    device: Device = Field("auto", description="where the network runs; auto: on a GPU where one is visible")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.bundle is None) == (self.weights is None):
            raise ValueError("give either bundle or weights")
        return self


class Embedding:
    """An opened embedding; make one with :func:`open_embedding`, once in each process; do not pickle it.

    Attributes:
        spec: what it was opened from.
        features: one for each column, ``embedding_<name>_<k>``. Of a bundle with several members those of the first member come
            first: members are trained from different starts, so feature k of one member is unrelated to feature k of another.
    """

    def __init__(
        self, spec: EmbeddingSpec, model: EmbeddingModel, steps: PreprocessSpec, bundle: Bundle | None, content: str
    ) -> None:
        self.spec = spec
        self.features = tuple(_feature(spec, k, model) for k in range(model.embedding_size))
        self._model, self._steps, self._bundle, self._content = model, steps, bundle, content

    @property
    def colour(self) -> bool:
        """Whether images are to be decoded in colour."""
        return self._bundle is not None and self._bundle.colour

    @cached_property
    def fingerprint(self) -> str:
        """Of the spec, the weights and the source; where the weights lie and on which device the network runs do not matter."""
        code = source_fingerprint(__name__, type(self._model).__module__, *self._steps.modules)
        return fingerprint([self.spec.model_dump(mode="json", exclude=dict(_ELSEWHERE)), self._content, code])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    def extract(self, images: Sequence[Image]) -> list[Extracted | InputError]:
        """The features of decoded images, in order, or the error of an image; no error of an image is raised.

        The row of an image does not depend on the others on one device (bitwise); devices round in different ways.
        Errors: what the preprocessing raises; IMAGE_NOT_FINITE; MODEL_SCOPE, of a modality that a bundle's network was not
        trained on; MODEL_INPUT_SHAPE, preprocessed to another size than the network's.

        Raises:
            ConfigError: EMBEDDING_NO_GPU; an embedding for a GPU may be opened where there is none, to know its columns.
        """
        prepared = [self._prepared(image) for image in images]
        arrays = [one for one in prepared if isinstance(one, np.ndarray)]
        rows = iter(self._model.embed(np.stack(arrays), _device(self.spec.device)) if arrays else ())
        return [explained(next(rows)) if isinstance(one, np.ndarray) else one for one in prepared]

    def _prepared(self, image: Image) -> Float32 | InputError:
        try:
            if self._bundle is not None:
                self._bundle.check_scope(image)
            if not np.isfinite(image.pixels).all():
                raise Excluded("IMAGE_NOT_FINITE", "some pixels are not finite")
            pixels = preprocess(image if self.colour else luminance(image), self._steps).pixels
            if pixels.shape != self._model.shape:
                raise Excluded("MODEL_INPUT_SHAPE", f"image of {pixels.shape} pixels, the network takes {self._model.shape}")
        except InputError as error:
            return error
        return pixels


_ELSEWHERE: Mapping[str, Any] = {"device": True, "bundle": True, "weights": {"weights", "sha256"}}


def open_embedding(spec: EmbeddingSpec) -> Embedding:
    """Load the network and check that it fits.

    Raises:
        BundleError: of a bundle what :func:`medray.bundles.bundle.open_bundle` raises, BUNDLE_NO_NETWORK; of weights
            WEIGHTS_UNREADABLE, WEIGHTS_ALTERED, WEIGHTS_MISFIT.
        ConfigError: EMBEDDING_SIZE; StoreError.
    """
    if spec.weights is not None:
        backbone, digest = _load(spec.weights)
        return Embedding(spec, backbone, spec.weights.preprocess, None, digest)
    bundle = open_bundle(str(spec.bundle))
    if not isinstance(bundle, Bundle) or not isinstance(bundle.model, EmbeddingModel):
        raise BundleError(
            "BUNDLE_NO_NETWORK", f"{spec.bundle} is of the family {bundle.manifest.family}, which has no activations to give"
        )
    return Embedding(spec, bundle.model, bundle.input.preprocess, bundle, bundle.fingerprint)


def _load(spec: WeightsSpec) -> tuple[Backbone, str]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    from medray.models.backbone import Backbone, build_network, check_size

    data = store.read(spec.weights)
    digest = hashlib.sha256(data).hexdigest()
    if spec.sha256 not in (None, digest):
        raise BundleError("WEIGHTS_ALTERED", f"{spec.weights} has the sha256 {digest}", "fetch it again, or correct the spec")
    try:
        weights = load(data)
    except SafetensorError as error:
        raise BundleError("WEIGHTS_UNREADABLE", f"{spec.weights} is not a safetensors file: {error}") from error
    network = build_network(spec.network, spec.channels, spec.first_stride, weights)
    shape = cast(tuple[int, int], spec.preprocess.output_shape)  # see WeightsSpec
    backbone = Backbone(network, shape, spec.channels, spec.mean, spec.deviation)
    check_size(backbone)
    return backbone, digest


def _device(wanted: Device) -> str:
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("EMBEDDING_NO_GPU", "no GPU is visible to this process", "set device to auto or cpu, or ask for a GPU")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def _feature(spec: EmbeddingSpec, k: int, model: Any) -> Feature:
    source = f"the bundle {spec.bundle}" if spec.weights is None else f"{spec.weights.network} (MONAI)"
    return Feature(f"embedding_{spec.name}_{k}", f"activation {k} of {model.embedding_size} of the penultimate layer", source)
