"""Random networks whose Python shares objects, and whose steps keep state in closures."""

import nengo
import numpy as np

import nengo_dl

N_STEPS = 20


class World:
    """An object that all Python of a network shares; it remembers who called."""

    def __init__(self):
        self.value, self.calls = 0.0, []

    def visit(self, name, x=0.0):
        """Change the world a little, and return what it was like."""
        before = self.value
        self.calls.append(name)
        self.value = 0.9 * self.value + 0.1 * np.sum(x) + 0.01 * len(name) + 0.003
        return before


class Remembering(nengo.Process):
    """Counts in a closure, and mixes in what the world is like."""

    def __init__(self, world, name, size_in, size_out=1):
        super().__init__(default_size_in=size_in, default_size_out=size_out)
        self._world, self._name = world, name

    def __setattr__(self, key, value):
        object.__setattr__(self, key, value)  # processes are frozen otherwise

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """As of Nengo's processes."""
        count = [0]

        def step(t, *x):
            count[0] += 1
            seen = 0.0 if self._world is None else self._world.visit(self._name, *x)
            total = sum(np.sum(part) for part in x)
            return np.full(shape_out, seen + 0.1 * count[0] + 0.5 * total)

        return step


class Fading(nengo.synapses.Synapse):
    """A synapse that keeps its state in a closure."""

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        """As of Nengo's synapses."""
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """As of Nengo's synapses."""
        kept = np.zeros(shape_out)

        def step(t, x):
            kept[...] = 0.7 * kept + 0.3 * x
            return kept

        return step


class Tired(nengo.RectifiedLinear):
    """A neuron type that no kernel is made for."""

    def step(self, dt, J, output):
        """As of Nengo's neuron types."""
        output[...] = np.maximum(J, 0) / (1 + np.maximum(J, 0))


def _source(rng, world, name):
    kind = rng.randint(4)
    if kind == 0:
        return nengo.Node(lambda t: np.sin(t) + world.visit(name), size_out=1, label=name)
    if kind == 1:
        return nengo.Node(Remembering(world, name, 0), label=name)
    if kind == 2:
        return nengo.Node(nengo.processes.WhiteSignal(0.1, 50, seed=rng.randint(99)), label=name)
    return nengo.Node([0.3], label=name)


def _receiver(rng, world, name):
    kind = rng.randint(6)
    if kind == 0:
        return nengo.Node(
            lambda t, x: x * 0.5 + world.visit(name, x), size_in=1, size_out=1, label=name
        )
    if kind == 1:
        return nengo.Node(Remembering(world, name, 1), size_in=1, label=name)
    if kind == 2:
        return nengo.Ensemble(8, 1, label=name)
    if kind == 3:
        return nengo.Ensemble(6, 1, neuron_type=Tired(), label=name)
    if kind == 4:
        return nengo.Ensemble(1, 1, neuron_type=nengo.Direct(), label=name)
    return nengo.Node(size_in=1, label=name)


def _synapse(rng):
    return [nengo.Lowpass(0.005), nengo.Alpha(0.01), Fading(), 0][rng.randint(4)]


def make(seed):
    """Return a network, its probes, and the world that its Python shares."""
    rng, world = np.random.RandomState(seed), World()
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype="float64")
        objects = [_source(rng, world, f"source{i}") for i in range(rng.randint(1, 4))]
        n_sources, number = len(objects), rng.randint(1, 6)
        objects += [_receiver(rng, world, f"receiver{i}" * (i + 1)) for i in range(number)]
        connections = []
        for post in range(n_sources, len(objects)):
            for pre in rng.choice(len(objects), size=min(2, len(objects)), replace=False):
                direct = pre < post and rng.rand() < 0.6
                name = f"function{len(connections)}"
                function = None
                if rng.rand() < 0.3 and getattr(objects[pre], "output", None) is not None:
                    function = lambda x, name=name: 0.8 * x + world.visit(name, x)  # noqa: E731
                connections.append(
                    nengo.Connection(
                        objects[pre],
                        objects[post],
                        synapse=None if direct else _synapse(rng),
                        function=function,
                    )
                )
        for i in range(rng.randint(3)):
            out = nengo.Node(
                lambda t, x, name=f"out{i}": world.visit(name, x) and None, size_in=1, size_out=0
            )
            nengo.Connection(objects[rng.randint(len(objects))], out, synapse=None)
        probes = [nengo.Probe(obj) for obj in objects]
        probes += [nengo.Probe(obj, synapse=0.01) for obj in objects[::2]]
        probes += [nengo.Probe(conn) for conn in connections]
        for ens in (obj for obj in objects if isinstance(obj, nengo.Ensemble)):
            if not isinstance(ens.neuron_type, nengo.Direct):
                probes += [nengo.Probe(ens.neurons), nengo.Probe(ens.neurons, "input")]
    return net, probes, world
