"""Inference with a fitted ``cnn`` model, its files and its saliency maps. Imports torch: import this file lazily."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medray.errors import BundleError, ModelError
from medray.models.activations import activations, batch_size, last_layers
from medray.models.cnn.heads import Scale, output_of
from medray.models.cnn.network import CnnNetwork, build_network
from medray.models.cnn.params import CnnParams
from medray.models.deep.batches import as_batch, channels_of, exact_kernels, padded_batches, torch_threads
from medray.models.deep.weights import check_weights
from medray.spec import canonical_json
from medray.tasks.head import Head, Output
from medray.types import Float32, Float64

_WEIGHTS = "cnn.safetensors"
_CONFIG = "cnn.json"


class CnnModel:
    """A fitted network; it predicts on images of the size that it was trained on."""

    def __init__(
        self, params: CnnParams, shape: tuple[int, ...], head: Head, weights: dict[str, Tensor], scale: Scale | None = None
    ) -> None:
        self.params = params
        self.shape = shape
        self.head = head
        self.scale = scale or Scale()
        with torch.random.fork_rng(devices=[]):  # its first weights, which are replaced, cost no random numbers
            self._network = build_network(params, channels_of(shape), head.size)
        self._network.load_state_dict(weights)
        self._network.eval()
        self.embedding_size = sum(layer.in_features for layer in last_layers(self._network).values())

    def predict(self, x: Float32) -> Output:
        """The arrays of its head for float32 (n, rows, columns) or (n, channels, rows, columns) images.

        A row is bitwise the same in every batch. Raises ModelError MODEL_INPUT_SHAPE for images of another size.
        """
        self._check(x.shape[1:])
        return outputs(self._network, x, self.head, self.scale)

    def embed(self, x: Float32, device: str = "cpu") -> Float64:
        """The penultimate-layer activations, float64 (n, members · features), member by member.

        Takes what :meth:`predict` takes. A row is bitwise the same in every batch on one device.
        """
        self._check(x.shape[1:])
        return activations(self._network.to(device), x)

    def saliency(self, x: Float32) -> Float32:
        """Where the network sees what speaks for its answer: float32 (rows, columns) in [0, 1], mean over the members.

        Of two classes that is the second one, of more classes or of labels the likeliest one.

        Grad-CAM (Selvaraju et al. 2017, ICCV), scaled to a maximum of 1; all zeros where nothing speaks for the class.
        Raises ModelError MODEL_INPUT_SHAPE for an image of another size.
        """
        self._check(x.shape)
        with torch_threads(1):
            prepared = self._network.to("cpu").prepare(as_batch(x[None], torch.device("cpu")))
            wanted = self._shown(x)
            maps = [_grad_cam(member, self._network.cam_layer, prepared, wanted) for member in self._network.members]
        mean = np.mean(maps, axis=0, dtype=np.float64)
        return np.asarray(mean / max(mean.max(), 1e-12), dtype=np.float32).clip(0, 1)

    def move(self, device: str) -> None:
        """Predict on "cpu" or "cuda" from now on."""
        self._network.to(device)

    def save(self, folder: Path) -> None:
        """Write ``cnn.safetensors`` (weights) and ``cnn.json`` (parameters, image size)."""
        save_file({name: tensor.contiguous() for name, tensor in self._network.state_dict().items()}, folder / _WEIGHTS)
        config = {
            "params": self.params.model_dump(mode="json"),
            "shape": list(self.shape),
            "head": asdict(self.head),
            "scale": asdict(self.scale),
        }
        (folder / _CONFIG).write_text(canonical_json(config), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> CnnModel:
        """Read what :meth:`save` wrote; raises BundleError when a file is missing, broken, or misfits the other."""
        try:
            config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            params = CnnParams.model_validate(config["params"])
            shape = tuple(int(side) for side in config["shape"])
            head, weights = Head(**config["head"]), load_file(folder / _WEIGHTS)
            check_weights(partial(build_network, params, channels_of(shape), head.size), weights)
            return cls(params, shape, head, weights, Scale(**config["scale"]))
        except (OSError, LookupError, TypeError, ValueError, ArithmeticError, SafetensorError, RuntimeError) as error:
            raise BundleError("BUNDLE_MODEL", f"not a saved cnn model: {_first_line(error)}") from error

    def _shown(self, x: Float32) -> int:
        """Which output a saliency map is of."""
        if self.head.kind == "value" or self.head == Head("classes", 2):
            return self.head.size - 1
        return int(np.argmax(self.predict(x[None])["probability"][0]))

    def _check(self, shape: tuple[int, ...]) -> None:
        if tuple(shape) != self.shape:
            raise ModelError("MODEL_INPUT_SHAPE", f"image of {tuple(shape)} pixels, the network takes {self.shape}")


def outputs(network: CnnNetwork, x: Float32, head: Head, scale: Scale) -> Output:
    """The arrays of a head, averaged over the members; the network is left in evaluation mode.

    Images pass in padded batches of one size and on one thread, because kernels are chosen by the batch size and by the
    number of threads, and differ in the last bits.
    """
    size = batch_size(network)
    network.eval()
    with torch_threads(1), exact_kernels():
        batches = [_batch_output(network, batch, count, head, scale) for batch, count in padded_batches(x, size)]
    if not batches:
        return output_of(torch.empty((0, len(network.members), head.size)), head, scale)
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


@torch.inference_mode()
def _batch_output(network: CnnNetwork, x: Float32, count: int, head: Head, scale: Scale) -> Output:
    logits = network(as_batch(x, next(network.parameters()).device))
    return {name: values[:count] for name, values in output_of(logits, head, scale).items()}


def _grad_cam(member: nn.Module, layer: str, prepared: Tensor, index: int) -> Float64:
    from monai.visualize.class_activation_maps import GradCAM

    hooked = GradCAM(nn_module=copy.deepcopy(member), target_layers=layer, postprocessing=lambda cam: cam)
    cam = hooked(prepared, class_idx=index)
    return np.asarray(cam[0, 0].detach().numpy(), dtype=np.float64)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
