"""Weights from elsewhere that a fit of a ``cnn`` begins with. Imports torch: import this file lazily."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from medray.data import store
from medray.errors import BundleError
from medray.models.activations import last_layers
from medray.models.cnn.network import CnnNetwork

_WRAPPED = ("state_dict", "model_state_dict", "model", "network")
"""Keys under which training scripts keep the weights among other things."""

_PREFIXES = ("module.", "backbone.", "encoder.")
_REFUSED = torch.serialization.pickle.UnpicklingError  # type: ignore[attr-defined]
"""What PyTorch raises of a file that holds more than tensors."""

_SAVE = "save `model.state_dict()`, or a .safetensors file"
_COUNT = "num_batches_tracked"
_ZERO = "downsample.0.bias"
"""A bias that this network has and others have not."""


@dataclass
class Matched:
    """What became of the weights of a file.

    Attributes:
        taken: names in the network that took the file's weights.
        adapted: of them, first convolutions that were brought to another number of channels.
        fresh: names in the network that the file does not have: those of the last layer, which is learnt anew.
        unused: names in the file that the network does not have, or that are of its last layer.
    """

    taken: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it in one line."""
        parts = [f"{len(self.taken)} tensors taken"]
        parts += [f"{name} adapted to the channels of the images" for name in self.adapted]
        parts += [f"learnt anew: {', '.join(self.fresh)}"] if self.fresh else []
        parts += [f"not used: {_few(self.unused)}"] if self.unused else []
        return "; ".join(parts)


def read_weights(uri: str) -> dict[str, Tensor]:
    """The tensors of a file of safetensors, or of a state dict of PyTorch, which is opened without running code.

    Raises:
        BundleError: WEIGHTS_FORMAT; StoreError.
    """
    data = store.read(uri)
    try:
        found = load(data) if uri.endswith(".safetensors") else torch.load(io.BytesIO(data), "cpu", weights_only=True)
    except (SafetensorError, _REFUSED, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        message = f"{uri} is no file of safetensors, and no state dict that holds tensors alone ({type(error).__name__})"
        raise BundleError("WEIGHTS_FORMAT", message, _SAVE) from error
    for name in _WRAPPED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not found or not all(isinstance(one, Tensor) for one in found.values()):
        raise BundleError("WEIGHTS_FORMAT", f"{uri} holds no tensors by name", _SAVE)
    return {_bare(str(name)): tensor for name, tensor in found.items()}


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def put_weights(network: CnnNetwork, weights: Mapping[str, Tensor]) -> Matched:
    """Give weights to every member of a network, but for its last layer.

    A file of several members gives each of its members to one, in turn.

    Raises:
        BundleError: WEIGHTS_MISFIT where weights of the network are not in the file, or have another shape.
    """
    members = sorted({int(name.split(".")[1]) for name in weights if name.startswith("members.")})
    for number, member in enumerate(network.members):
        own = weights
        if members:
            prefix = f"members.{members[number % len(members)]}."
            own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        matched = _put(member, own)
    return matched


def _put(member: nn.Module, weights: Mapping[str, Tensor]) -> Matched:
    state, matched, misfits = member.state_dict(), Matched(), []
    head = [f"{name}.{part}" for name in last_layers(member) for part in ("weight", "bias")]
    for name, tensor in state.items():
        if name in head:
            matched.fresh.append(name)
        elif name in weights and weights[name].shape == tensor.shape:
            state[name] = weights[name].to(tensor.dtype)
            matched.taken.append(name)
        elif name in weights and _other_channels(weights[name], tensor) and not matched.adapted:
            state[name] = _adapted(weights[name], tensor)
            matched.taken.append(name)
            matched.adapted.append(name)
        elif name.endswith(_ZERO) and name not in weights:
            state[name] = torch.zeros_like(tensor)
        elif not name.endswith(_COUNT):
            there = f"is {_shape(weights[name])}, not {_shape(tensor)}" if name in weights else "is missing"
            misfits.append(f"{name} {there}")
    if misfits:
        message = f"the weights are of another network: {_few(misfits)}"
        raise BundleError("WEIGHTS_MISFIT", message, "name the network that they are of, with its width")
    matched.unused = sorted(weights.keys() - set(matched.taken))
    member.load_state_dict(state)
    return matched


def _other_channels(found: Tensor, wanted: Tensor) -> bool:
    """Whether two convolutions differ in the number of channels alone that go in."""
    return found.ndim == wanted.ndim == 4 and found.shape[0] == wanted.shape[0] and found.shape[2:] == wanted.shape[2:]


def _adapted(found: Tensor, wanted: Tensor) -> Tensor:
    """The mean over the channels for each of the new ones, so that a grey image answers as one with its grey in every channel."""
    mean = found.mean(dim=1, keepdim=True) * (found.shape[1] / wanted.shape[1])
    return mean.expand_as(wanted).to(wanted.dtype).clone()


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
