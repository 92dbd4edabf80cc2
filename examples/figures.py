"""The pictures of the tour."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

INK, GREY, PALE = "#1b1f24", "#6e7781", "#d0d7de"
COLOURS = {
    "Keras": "#d9822b",
    "nengo_dl": "#1f6fb2",
    "nengo": "#7a8793",
    "ideal": INK,
}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelcolor": GREY,
    "axes.edgecolor": PALE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
}
plt.rcParams.update(STYLE)


def autoencoder(path, results, digits, outputs):
    """Draw losses and times of both trainings, and ten test digits with their reconstructions.

    Parameters
    ----------
    results : dict
        By name, "losses" (one an epoch), "test loss" and "ms a batch".
    digits : array (n, 784)
    outputs : dict
        By name, reconstructions (at least 10, 784).
    """
    figure = plt.figure(figsize=(9, 6.3))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.7))
    losses, times = above.subplots(1, 2, width_ratios=(2.2, 1))
    for name, width, alpha in (("Keras", 4, 0.5), ("nengo_dl", 1.3, 1)):
        result = results[name]
        epochs = np.arange(1, len(result["losses"]) + 1)
        label = f"{name} (on test digits: {result['test loss']:.0f})"
        losses.plot(
            epochs, result["losses"], color=COLOURS[name], lw=width, alpha=alpha, label=label
        )
    losses.set(title="Mean squared error while training", xlabel="epoch")
    losses.set_ylim(0)
    losses.xaxis.get_major_locator().set_params(integer=True)
    losses.legend()
    bars(times, {name: result["ms a batch"] for name, result in results.items()}, "{:.2f} ms")
    times.set_title("Time per training batch")

    rows = {"test digit": digits, **outputs}
    grid = below.subplots(len(rows), 1)
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        strip = np.hstack(images[:10].reshape(10, 28, 28))
        axes.imshow(strip, cmap="gray_r", vmin=0, vmax=255)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    save(figure, path)


def rates_and_spikes(path, t, wave, rates, spikes, filtered):
    """Draw four views over one second: the input, rates, spikes, filtered spikes.

    Parameters
    ----------
    t : array (n,)
        [s].
    wave : array (n, 1)
    rates, spikes, filtered : array (n, 10)
        [Hz]; colours tell neurons apart.
    """
    figure, axes = plt.subplots(4, 1, figsize=(8, 7), sharex=True, height_ratios=(0.6, 1, 1, 1))
    order = np.argsort(rates.T @ t / np.maximum(rates.sum(axis=0), 1e-9))
    colours = shades(len(order))
    axes[0].plot(t, wave, color=INK)
    axes[0].set(title="Input", ylabel="x")
    for row, neuron in enumerate(order):
        axes[1].plot(t, rates[:, neuron], color=colours[row])
        axes[2].vlines(t[spikes[:, neuron] > 0], row - 0.4, row + 0.4, color=colours[row], lw=0.9)
        axes[3].plot(t, filtered[:, neuron], color=colours[row])
    axes[1].set(title="RectifiedLinear: rates", ylabel="Hz")
    axes[2].set(title="SpikingRectifiedLinear: spikes", ylabel="neuron", yticks=[])
    axes[3].set(title="The spikes through a Lowpass(0.05)", ylabel="Hz", xlabel="time [s]")
    axes[3].set_ylim(axes[1].get_ylim())
    axes[3].set_xlim(t[0], t[-1])
    save(figure, path)


def batch_normalization(path, x, rates, normalized, square):
    """Draw tuning curves as they are, normalized, and what a Dense layer makes of them.

    Parameters
    ----------
    x : array (n,)
    rates, normalized : array (n, 10)
    square : array (n,)
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 2.9))
    order = np.argsort(rates.T @ x)
    for neuron, colour in zip(order, shades(len(order)), strict=True):
        left.plot(x, rates[:, neuron], color=colour)
        middle.plot(x, normalized[:, neuron], color=colour)
    right.plot(x, x**2, color=COLOURS["ideal"], lw=1, ls="--", label="x²")
    right.plot(x, square, color=COLOURS["nengo_dl"], label="learned")
    left.set(title="Ten neurons [Hz]", xlabel="x")
    middle.set(title="after BatchNormalization", xlabel="x")
    right.set(title="after Dense(1)", xlabel="x")
    right.legend()
    save(figure, path)


def two_simulators(path, t, x, ideal, outputs, times):
    """Draw what both simulators give for sin(x²), and how long a step takes.

    Parameters
    ----------
    t : array (n,)
        [s].
    x, ideal : array (n, 1)
    outputs : dict of array (n, 1)
        By simulator.
    times : dict of float
        By simulator, a step [µs].
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=(2.4, 1))
    left.plot(t, x, color=PALE, label="x")
    left.plot(t, ideal, color=COLOURS["ideal"], lw=1, ls="--", label="sin(x²)")
    left.plot(t, outputs["nengo"], color=COLOURS["nengo"], lw=3.2, alpha=0.6, label="nengo")
    left.plot(t, outputs["nengo_dl"], color=COLOURS["nengo_dl"], lw=1.2, label="nengo_dl")
    left.set(title="The same numbers", xlabel="time [s]", xlim=(t[0], t[-1]))
    left.legend(ncols=4, loc="lower center")
    bars(right, times, "{:.1f} µs")
    right.set_title("Time per step")
    save(figure, path)


def spiking_digits(path, results, images, labels):
    """Draw training and testing of digits, and how one of them is recognized.

    Parameters
    ----------
    results : dict
        By way of training: "loss" and "accuracy" (one an epoch), "right over time" (one a step),
        and "scores" (n, steps, 10).
    images : array (n, 28, 28)
    labels : array (n,)
    """
    figure, ((loss, right), (time, one)) = plt.subplots(2, 2, figsize=(9, 5.6))
    for (name, result), colour in zip(results.items(), ("#d9822b", "#1f6fb2"), strict=True):
        epochs = np.arange(1, len(result["loss"]) + 1)
        loss.plot(epochs, result["loss"], color=colour, label=name)
        right.plot(epochs, 100 * np.array(result["accuracy"]), color=colour)
        over_time = 100 * np.array(result["right over time"])
        steps = np.arange(1, len(over_time) + 1)
        time.plot(steps, over_time, color=colour, label=f"{name}: {over_time[-1]:.1f} %")
        summed = np.cumsum(result["scores"][0], axis=0)
    for digit, colour in zip(range(10), shades(10), strict=True):
        mine = digit == labels[0]
        one.plot(steps, summed[:, digit], color=colour if mine else PALE, lw=2 if mine else 1)
        one.text(
            steps[-1] + 0.5, summed[-1, digit], digit, color=INK if mine else GREY, va="center"
        )
    inset = one.inset_axes((0.0, 0.02, 0.3, 0.38))
    inset.imshow(images[0], cmap="gray_r")
    inset.set_axis_off()
    loss.set(title="Loss while training", xlabel="epoch")
    loss.set_ylim(0)
    right.set(title="Digits right while training [%]", xlabel="epoch", ylim=(50, 100))
    time.set(title="Test digits right, with spikes [%]", xlabel="steps of 1 ms", ylim=(50, 100))
    one.set(title=f"Summed scores of a {labels[0]} ({name})", xlabel="steps of 1 ms")
    for axes in (loss, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    loss.legend()
    time.legend(loc="lower right")
    save(figure, path)


def convert_digits(path, steps, scores, keras_scores):
    """Draw digits that are right against steps, for ways of conversion.

    Parameters
    ----------
    steps : list of int
    scores : dict of array (len(steps),)
        By way of conversion.
    keras_scores : dict of float
        By way of conversion.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    for i, (name, values) in enumerate(scores.items()):
        missed = 100 * (keras_scores[name] - values)
        axes[0].plot(steps, 100 * values, "o-", ms=4, color=f"C{i}", label=name)
        axes[1].plot(steps, missed, "o-", ms=4, color=f"C{i}")
    for value in sorted(set(keras_scores.values())):
        axes[0].axhline(100 * value, color=GREY, ls="--", lw=0.8)
    for wanted in (0.5, 1.0):
        axes[1].axhline(wanted, color=PALE, lw=1)
    axes[0].set(title="Digits right [%]; dashed: Keras", ylim=(0, 101))
    axes[1].set(title="Lost by the conversion [points]", ylim=(-0.5, 5))
    axes[0].legend(loc="center right")
    for one in axes:
        one.set(xlabel="steps of 1 ms", xscale="log")
        one.set_xticks(steps, labels=steps)
        one.minorticks_off()
    save(figure, path)


def shades(n):
    """Return n colours in an order that one can see."""
    return plt.cm.viridis(np.linspace(0.05, 0.9, n))


def bars(axes, values, label):
    """Draw horizontal bars with their values beside them, and nothing else."""
    names = list(values)
    drawn = axes.barh(names, list(values.values()), 0.45, color=[COLOURS[n] for n in names])
    axes.bar_label(drawn, [label.format(v) for v in values.values()], padding=4, color=INK)
    axes.set_ylim(len(names) - 0.3, -0.7)
    axes.set_xlim(0, 1.3 * max(values.values()))
    axes.set_xticks([])
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)


def save(figure, path):
    figure.savefig(path)
    plt.close(figure)
