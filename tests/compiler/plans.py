"""What networks of the zoo compile to, as text: a change of a plan is to show as a diff.

``python -m tests.compiler.plans`` (or ``make plans``) renews the files that `test_plans` compares
with. They hold for one machine, which is assumed here, not asked: two cores, four items, and a
TensorFlow that makes single kernels of loops.
"""

import re
import warnings
from dataclasses import replace
from pathlib import Path

from nengo.builder import Model

from nengo_dl.config.settings import Settings
from nengo_dl.runtimes.tensorflow.strategy import Facts, choose
from nengo_dl.runtimes.tensorflow.tune import Target
from nengo_dl.session.compilation import Compilation
from tests.networks import NETWORKS

FOLDER = Path(__file__).with_name("plans")
TARGET = Target(batch=4, cores=2, single_kernels=True)

#: Each kind of operator, of connection and of structure; what differs in numbers alone is left out.
NAMES = (
    "adaptive_lif",
    "alpha_synapses",
    "basal_ganglia_and_thalamus",
    "bcm",
    "circular_convolution",
    "communication_channel",
    "constant_nodes",
    "convolutions",
    "convolutions_transposed",
    "digital_filters",
    "direct_mode",
    "empty",
    "ensemble_noise",
    "functions",
    "functions_on_nodes",
    "grouped_convolutions",
    "inhibitory_gating",
    "integrator",
    "izhikevich",
    "lif_parameters",
    "lif_rate",
    "linear_filters",
    "lowpass_synapses",
    "many_like_ensembles",
    "memory_networks",
    "neuron_connections",
    "nodes_in_a_loop",
    "oja",
    "pes_on_ensembles",
    "poisson_spiking",
    "processes_with_input",
    "product",
    "regular_spiking",
    "rls",
    "seeded_processes",
    "sizes_and_types_mixed",
    "slices_of_ensembles",
    "slices_of_nodes",
    "solvers",
    "sparse_transforms",
    "spikes_behind_synapses",
    "transforms",
    "triangle_synapses",
    "user_neuron_types",
    "voja",
)


def plan(name):
    """Print the program of a network, and the strategies to simulate and to train it."""
    net, model = NETWORKS[name](), Model(dt=0.001)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.build(net)
    compiled = Compilation(model, Settings.of(net), TARGET.batch)
    blocks = str(replace(compiled.program, stages=())) + "\n"  # the same for all that runs
    parts = ["program", str(compiled.program)]
    for purpose in ("simulate", "train"):
        trains = purpose == "train"
        program = compiled.training_program if trains else compiled.program
        python = tuple(g for g in program.groups if not g.traits.compiled)
        facts = Facts(
            purpose=purpose, program=program, trains=trains, target=TARGET, uncompilable=python
        )
        parts += ["", "strategy " + str(choose(facts)).replace(blocks, "")]
    return numbered("\n".join(parts)) + "\n"


def numbered(text):
    """Number unlabelled objects in the order in which they appear, instead of their addresses."""
    addresses = dict.fromkeys(re.findall("0x[0-9a-f]+", text))
    numbers = {address: f"#{i}" for i, address in enumerate(addresses, start=1)}
    return re.sub("0x[0-9a-f]+", lambda found: numbers[found.group()], text)


def renew():
    """Write all plans anew, and remove those of networks that are gone."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.txt"):
        if old.stem not in NAMES:
            old.unlink()
    for name in NAMES:
        (FOLDER / f"{name}.txt").write_text(plan(name), encoding="utf-8")
    print(f"{len(NAMES)} plans in {FOLDER}; `git diff` shows what has changed")


if __name__ == "__main__":
    renew()
