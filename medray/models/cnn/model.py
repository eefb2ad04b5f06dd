"""Inference with a fitted ``cnn`` model, its files and its saliency maps. Imports torch: import this file lazily."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from monai.visualize.class_activation_maps import GradCAM
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medray.errors import BundleError, ModelError
from medray.models.activations import BATCH, activations, last_layers, padded_batches
from medray.models.cnn.network import CnnNetwork, as_batch, build_network, torch_threads
from medray.models.cnn.params import CnnParams
from medray.spec import canonical_json
from medray.types import Float32, Float64

_WEIGHTS = "cnn.safetensors"
_CONFIG = "cnn.json"


class CnnModel:
    """A fitted network; it predicts on the CPU, on images of the size that it was trained on."""

    def __init__(self, params: CnnParams, shape: tuple[int, int], weights: dict[str, Tensor]) -> None:
        self.params = params
        self.shape = shape
        self._network = build_network(params)
        self._network.load_state_dict(weights)
        self._network.eval()
        self.embedding_size = sum(layer.in_features for layer in last_layers(self._network).values())

    def predict_proba(self, x: Float32) -> Float64:
        """Probability of each class, float64 (n, 2), for float32 (n, rows, columns) images.

        A row is bitwise the same in every batch. Raises ModelError MODEL_INPUT_SHAPE for images of another size.
        """
        self._check(x.shape[1:])
        return probabilities(self._network.to("cpu"), x)

    def embed(self, x: Float32, device: str = "cpu") -> Float64:
        """The activations before the last layer, float64 (n, members · features), member by member.

        Takes what :meth:`predict_proba` takes. A row is bitwise the same in every batch on one device.
        """
        self._check(x.shape[1:])
        return activations(self._network.to(device), x)

    def saliency(self, x: Float32) -> Float32:
        """Where the network sees the positive class: float32 (rows, columns) in [0, 1], mean over the members.

        Grad-CAM (Selvaraju et al. 2017, ICCV), scaled to a maximum of 1; all zeros where nothing speaks for the class.
        Raises ModelError MODEL_INPUT_SHAPE for an image of another size.
        """
        self._check(x.shape)
        with torch_threads(1):
            prepared = self._network.to("cpu").prepare(as_batch(x[None], torch.device("cpu")))
            maps = [_grad_cam(member, self._network.cam_layer, prepared) for member in self._network.members]
        mean = np.mean(maps, axis=0, dtype=np.float64)
        return np.asarray(mean / max(mean.max(), 1e-12), dtype=np.float32).clip(0, 1)

    def save(self, folder: Path) -> None:
        """Write ``cnn.safetensors`` (weights) and ``cnn.json`` (parameters, image size)."""
        save_file({name: tensor.contiguous() for name, tensor in self._network.state_dict().items()}, folder / _WEIGHTS)
        config = {"params": self.params.model_dump(mode="json"), "shape": list(self.shape)}
        (folder / _CONFIG).write_text(canonical_json(config), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> CnnModel:
        """Read what :meth:`save` wrote; raises BundleError when a file is missing, broken, or misfits the other."""
        try:
            config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            params = CnnParams.model_validate(config["params"])
            rows, columns = (int(side) for side in config["shape"])
            return cls(params, (rows, columns), load_file(folder / _WEIGHTS))
        except (OSError, KeyError, TypeError, ValueError, ValidationError, SafetensorError, RuntimeError) as error:
            raise BundleError("BUNDLE_MODEL", f"not a saved cnn model: {_first_line(error)}") from error

    def _check(self, shape: tuple[int, ...]) -> None:
        if tuple(shape) != self.shape:
            raise ModelError("MODEL_INPUT_SHAPE", f"image of {tuple(shape)} pixels, the network takes {self.shape}")


def probabilities(network: CnnNetwork, x: Float32) -> Float64:
    """Mean class probabilities of the members, float64 (n, 2); the network is left in evaluation mode.

    Images pass in padded batches of one size and on one thread, because kernels are chosen by the batch size and by the
    number of threads, and differ in the last bits.
    """
    size = BATCH[next(network.parameters()).device.type]
    network.eval()
    with torch_threads(1):
        batches = [_batch_probabilities(network, batch)[:count] for batch, count in padded_batches(x, size)]
    return np.concatenate(batches) if batches else np.empty((0, 2), dtype=np.float64)


@torch.inference_mode()
def _batch_probabilities(network: CnnNetwork, x: Float32) -> Float64:
    logits = network(as_batch(x, next(network.parameters()).device))
    return np.asarray(logits.double().softmax(dim=2).mean(dim=1).cpu().numpy(), dtype=np.float64)


def _grad_cam(member: nn.Module, layer: str, prepared: Tensor) -> Float64:
    hooked = GradCAM(nn_module=copy.deepcopy(member), target_layers=layer, postprocessing=lambda cam: cam)
    cam = hooked(prepared, class_idx=1)
    return np.asarray(cam[0, 0].detach().numpy(), dtype=np.float64)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
