"""The networks of `training`, written for PyTorch with snnTorch and with SpikingJelly.

Both as their documentation recommends: snnTorch loops over time in Python, SpikingJelly runs each
layer over all steps.  Neurons have a surrogate gradient; the loss is that of `training`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import snntorch
import torch
from snntorch.surrogate import fast_sigmoid
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

Batches = tuple[np.ndarray, np.ndarray]


class SnnTorch(nn.Module):
    """Maps with leaky integrate-and-fire neurons between them, step after step."""

    def __init__(self, maps: list[nn.Module]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)
        self.neurons = nn.ModuleList(
            snntorch.Leaky(beta=0.95, spike_grad=fast_sigmoid()) for _ in maps[1:]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mean output (B, n) for inputs (T, B, ...)."""
        voltages = [neurons.reset_mem() for neurons in self.neurons]
        total = 0
        for row in x:
            y = self.maps[0](row)
            for i, neurons in enumerate(self.neurons):
                y, voltages[i] = neurons(y, voltages[i])
                y = self.maps[i + 1](y)
            total = total + y
        return total / len(x)


class SpikingJelly(nn.Module):
    """The same, each layer over all steps; gradients do not pass through resets."""

    def __init__(self, maps: list[nn.Module]) -> None:
        super().__init__()
        layers = []
        for each in maps[:-1]:
            gradient = surrogate.ATan()
            lif = neuron.LIFNode(
                tau=20.0, detach_reset=True, surrogate_function=gradient, step_mode="m"
            )
            layers += [each, lif]
        self.layers = nn.Sequential(*layers, maps[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mean output (B, n) for inputs (T, B, ...)."""
        y = self.layers(x).mean(0)
        functional.reset_net(self.layers)
        return y


def dense(kind: type[nn.Module]) -> nn.Module:
    """Layers of 784, 256, 256 and 10."""
    make, options = (layer, {"step_mode": "m"}) if kind is SpikingJelly else (nn, {})
    return kind(
        [
            make.Linear(784, 256, **options),
            make.Linear(256, 256, **options),
            make.Linear(256, 10, bias=False, **options),
        ]
    )


def convolutional(kind: type[nn.Module]) -> nn.Module:
    """32 and 64 filters of 3 by 3 with stride 2, and a dense layer of 10."""
    make, options = (layer, {"step_mode": "m"}) if kind is SpikingJelly else (nn, {})
    read_out = [make.Flatten(**options), make.Linear(2304, 10, bias=False, **options)]
    maps = [
        make.Conv2d(1, 32, 3, 2, **options),
        make.Conv2d(32, 64, 3, 2, **options),
        nn.Sequential(*read_out),
    ]
    # what oneDNN, which convolves here, prefers
    return kind(maps).to(memory_format=torch.channels_last)


NETWORKS = {"dense": dense, "conv": convolutional}
KINDS = {"snnTorch": SnnTorch, "SpikingJelly": SpikingJelly}


def torch_trainer(name: str, label: str, data: Batches, clock: Callable) -> Callable:
    """A function that trains on all batches and gives the seconds of each.

    Parameters
    ----------
    name : str
        Of the network.
    label : str
        The library, and perhaps ", compiled": by `torch.compile`.
    data : (array (N, B, T, size), array (N, B))
        Inputs and labels of N minibatches.
    clock : callable
        Gives the seconds.
    """
    inputs, labels = data
    series = np.ascontiguousarray(np.swapaxes(inputs, 1, 2))  # as both libraries want them
    if name == "conv":
        side = int(np.sqrt(series.shape[-1]))
        series = series.reshape(*series.shape[:-1], 1, side, side)
    batches = list(zip(torch.from_numpy(series), torch.from_numpy(labels), strict=True))
    library, _, compiled = label.partition(", ")
    model = NETWORKS[name](KINDS[library])
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loss_of = nn.CrossEntropyLoss()
    call = torch.compile(model) if compiled else model

    def train() -> list[float]:
        times = [clock()]
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_of(call(x), y)
            loss.backward()
            optimizer.step()
            loss.item()
            times.append(clock())
        return list(np.diff(times))

    return train
