"""The network of the ``unet`` family, inference with it, and its files. Imports torch: import this file lazily."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks.nets.unet import UNet
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medray.errors import BundleError, ModelError
from medray.models.deep.batches import as_batch, channels_of, exact_kernels, padded_batches, standardised, torch_threads
from medray.models.deep.params import BATCH
from medray.models.deep.weights import check_weights
from medray.models.unet.params import UnetParams
from medray.spec import canonical_json
from medray.tasks.head import Head, Output
from medray.types import Float32

_WEIGHTS = "unet.safetensors"
_CONFIG = "unet.json"


class UnetNetwork(nn.Module):
    """float32 (n, channels, rows, columns) → logits float32 (n, maps, rows, columns)."""

    def __init__(self, params: UnetParams, channels: int, maps: int) -> None:
        super().__init__()
        self.maps = maps
        self.standardise = params.standardise
        self.unet = UNet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=maps,
            channels=params.channels,
            strides=(2,) * (len(params.channels) - 1),
            num_res_units=params.residual_units,
        )

    def forward(self, x: Tensor) -> Any:
        """Logits of every map."""
        return self.unet(standardised(x) if self.standardise else (x - 0.5) * 4)


def build_network(params: UnetParams, channels: int, maps: int) -> UnetNetwork:
    """A network with fresh weights from torch's generator, on the CPU."""
    return UnetNetwork(params, channels, maps)


class UnetModel:
    """A fitted network; it predicts on images of the size that it was trained on."""

    def __init__(self, params: UnetParams, shape: tuple[int, ...], head: Head, weights: dict[str, Tensor]) -> None:
        self.params = params
        self.shape = shape
        self.head = head
        with torch.random.fork_rng(devices=[]):  # its first weights, which are replaced, cost no random numbers
            self._network = build_network(params, channels_of(shape), head.size)
        self._network.load_state_dict(weights)
        self._network.eval()

    def predict(self, x: Float32) -> Output:
        """``probability`` of each pixel, float32 (n, maps, rows, columns), of float32 (n, rows, columns) or (n, channels, …).

        A row is bitwise the same in every batch. Raises ModelError MODEL_INPUT_SHAPE for images of another size.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ModelError("MODEL_INPUT_SHAPE", f"image of {tuple(x.shape[1:])} pixels, the network takes {self.shape}")
        return outputs(self._network, x)

    def move(self, device: str) -> None:
        """Predict on "cpu" or "cuda" from now on."""
        self._network.to(device)

    def save(self, folder: Path) -> None:
        """Write ``unet.safetensors`` (weights) and ``unet.json`` (parameters, image size)."""
        save_file({name: tensor.contiguous() for name, tensor in self._network.state_dict().items()}, folder / _WEIGHTS)
        config = {"params": self.params.model_dump(mode="json"), "shape": list(self.shape), "head": asdict(self.head)}
        (folder / _CONFIG).write_text(canonical_json(config), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> UnetModel:
        """Read what :meth:`save` wrote; raises BundleError when a file is missing, broken, or misfits the other."""
        try:
            config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            params, shape = UnetParams.model_validate(config["params"]), tuple(int(side) for side in config["shape"])
            head, weights = Head(**config["head"]), load_file(folder / _WEIGHTS)
            check_weights(partial(build_network, params, channels_of(shape), head.size), weights)
            return cls(params, shape, head, weights)
        except (OSError, LookupError, TypeError, ValueError, ArithmeticError, SafetensorError, RuntimeError) as error:
            line = str(error).splitlines()[0] if str(error) else ""
            raise BundleError("BUNDLE_MODEL", f"not a saved unet model: {type(error).__name__}: {line}") from error


def outputs(network: UnetNetwork, x: Float32) -> Output:
    """The arrays of the head; the network is left in evaluation mode.

    Images pass in padded batches of one size and on one thread, because kernels are chosen by the batch size and by the
    number of threads, and differ in the last bits.
    """
    device = next(network.parameters()).device
    network.eval()
    with torch_threads(1), torch.inference_mode(), exact_kernels():
        batches = [_probability(network(as_batch(part, device)))[:count] for part, count in padded_batches(x, BATCH[device.type])]
    empty = np.empty((0, network.maps, *x.shape[-2:]), np.float32)
    return {"probability": np.concatenate([empty, *batches])}


def _probability(logits: Tensor) -> Float32:
    return np.asarray(logits.sigmoid().cpu().numpy(), dtype=np.float32)
