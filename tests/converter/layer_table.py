"""Every class of `keras.layers`: what the converter makes of it, and examples of its options.

`EXACT` and `FALLBACK` give, by class, (arguments, shapes of inputs) for each option. Slopes are
powers of 2, as Keras rounds them, and largest values, to 32 bits, whatever the input is. No
layer with channels first has as many filters as elements along the last axis: Keras on TensorFlow
then adds biases along that axis.
"""

import keras
import numpy as np

FIRST = {"data_format": "channels_first"}


def conv(rank, **first):
    """Options that all convolutions have, in so many dimensions."""
    n = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}[rank]
    return n, [
        dict(kernel_size=3),
        dict(kernel_size=2, padding="same", use_bias=False),
        dict(kernel_size=3, strides=2, activation="relu"),
        dict(kernel_size=3, strides=2, padding="same", activation="tanh"),
        dict(kernel_size=2, **FIRST),
        dict(kernel_size=2, padding="same", activation="relu", **FIRST),
    ]


def conv_options(rank):
    n, options = conv(rank)
    more = [
        dict(kernel_size=3, groups=2),
        dict(kernel_size=2, groups=2, padding="same", strides=2, activation="relu"),
    ]
    if rank < 3:
        more += [
            dict(kernel_size=2, dilation_rate=2),
            dict(kernel_size=3, dilation_rate=2, padding="same", activation="relu"),
            dict(kernel_size=2, dilation_rate=3, groups=2, **FIRST),
        ]
    if rank == 1:
        more += [
            dict(kernel_size=3, padding="causal"),
            dict(kernel_size=2, padding="causal", dilation_rate=2),
            dict(kernel_size=3, padding="causal", strides=2, activation="relu"),
        ]
    if rank == 2:
        more += [
            dict(kernel_size=(3, 2), strides=(1, 2)),
            dict(kernel_size=2, dilation_rate=(1, 2)),
        ]
    return [(dict(filters=4, **o), shape(n, 2, o)) for o in options + more]


def shape(spatial, channels, options):
    is_first = options.get("data_format") == "channels_first"
    return (channels, *spatial) if is_first else (*spatial, channels)


def transposed_options(rank):
    n = {1: (5,), 2: (4, 2), 3: (3, 2, 2)}[rank]
    options = [
        dict(kernel_size=3),
        dict(kernel_size=3, strides=2, padding="same"),
        dict(kernel_size=2, strides=2, activation="relu"),
        dict(kernel_size=2, strides=3, padding="valid", use_bias=False),
        dict(kernel_size=3, strides=2, padding="same", output_padding=0),
        dict(kernel_size=3, strides=2, padding="same", output_padding=1),
        dict(kernel_size=2, padding="same", **FIRST),
    ]
    if rank < 3:
        options += [dict(kernel_size=2, dilation_rate=2)]
    return [(dict(filters=3, **o), shape(n, 2, o)) for o in options]


def depthwise_options(rank, **common):
    n, options = conv(rank)
    options = options + [
        dict(kernel_size=2, depth_multiplier=3),
        dict(kernel_size=2, dilation_rate=2, depth_multiplier=2, activation="relu"),
    ]
    return [({**common, **o}, shape(n, 3, o)) for o in options]


def pool_options(rank):
    n = {1: (9,), 2: (7, 6), 3: (5, 4, 5)}[rank]
    options = [
        dict(pool_size=2),
        dict(pool_size=3, strides=2),
        dict(pool_size=3, strides=1, padding="same"),
        dict(pool_size=2, strides=3, padding="same"),
        dict(pool_size=2, **FIRST),
        dict(pool_size=3, padding="same", **FIRST),
    ]
    return [(o, shape(n, 3, o)) for o in options]


def global_options(rank):
    n = {1: (9,), 2: (7, 6), 3: (5, 4, 5)}[rank]
    options = [{}, dict(keepdims=True), FIRST]
    return [(o, shape(n, 3, o)) for o in options]


def adaptive_options(rank):
    n = {1: (9,), 2: (7, 6), 3: (5, 4, 5)}[rank]
    options = [dict(output_size=2), dict(output_size=4), dict(output_size=3, **FIRST)]
    return [(o, shape(n, 3, o)) for o in options]


def spatial(options, rank, channels=2):
    n = {1: (5,), 2: (5, 6), 3: (5, 4, 6)}[rank]
    return [(o, shape(n, channels, o)) for o in options]


def steps(layer_class, **arguments):
    """Arguments of a wrapper; made anew each time, as layers keep their weights."""
    return {"layer": layer_class(**arguments, dtype="float64")}


VECTOR, IMAGE = (4,), (5, 6, 2)
SEQUENCE, COLOURS = (4, 3), (8, 8, 3)
IMAGES = [({}, COLOURS)]
FACTOR = [(dict(factor=0.3), COLOURS)]
NOTHING = [({}, VECTOR), ({}, IMAGE)]
RATE = [(dict(rate=0.4), VECTOR)]
BATCH_NORMALIZATION = [
    ({}, IMAGE),
    (dict(axis=1), IMAGE),
    (dict(axis=2), IMAGE),
    (dict(center=False), VECTOR),
    (dict(scale=False, epsilon=0.1), VECTOR),
]

EXACT = {
    "Activation": [
        (dict(activation=name), VECTOR) for name in ("linear", "relu", "relu6", "sigmoid", "tanh")
    ]
    + [(dict(activation=name), IMAGE) for name in ("hard_sigmoid", "hard_tanh", "soft_shrink")],
    "ActivityRegularization": [(dict(l1=0.1), VECTOR)],
    **{f"AdaptiveAveragePooling{r}D": adaptive_options(r) for r in (1, 2, 3)},
    "Add": [({}, [VECTOR] * 2), ({}, [VECTOR] * 3), ({}, [(3, 4), (1, 4)]), ({}, [(3, 4), (3, 1)])],
    "AlphaDropout": RATE,
    "AugMix": IMAGES,
    "Average": [({}, [VECTOR] * 2), ({}, [IMAGE] * 3)],
    **{f"AveragePooling{r}D": pool_options(r) for r in (1, 2, 3)},
    "BatchNormalization": BATCH_NORMALIZATION,
    "CenterCrop": spatial([dict(height=3, width=3), dict(height=2, width=4, **FIRST)], 2),
    "Concatenate": [
        ({}, [VECTOR, (3,)]),
        (dict(axis=1), [(2, 3, 4), (1, 3, 4)]),
        (dict(axis=2), [(2, 3, 4), (2, 2, 4), (2, 1, 4)]),
    ],
    **{f"Conv{r}D": conv_options(r) for r in (1, 2, 3)},
    **{f"Conv{r}DTranspose": transposed_options(r) for r in (1, 2, 3)},
    "Cropping1D": spatial([dict(cropping=1), dict(cropping=(0, 2))], 1),
    "Cropping2D": spatial([dict(cropping=1), dict(cropping=((1, 0), (2, 1)), **FIRST)], 2),
    "Cropping3D": spatial([dict(cropping=1), dict(cropping=((1, 0), (2, 1), (0, 1)))], 3),
    "CutMix": IMAGES,
    "Dense": [
        (dict(units=3), VECTOR),
        (dict(units=3, activation="relu"), VECTOR),
        (dict(units=3, activation="relu6", use_bias=False), VECTOR),
        (dict(units=3, activation="sigmoid"), (2, 5)),
        (dict(units=3, use_bias=False), (2, 3, 5)),
        (dict(units=2, activation="relu"), (1, 5)),
    ],
    "DepthwiseConv1D": depthwise_options(1),
    "DepthwiseConv2D": depthwise_options(2),
    "Dropout": RATE,
    "EinsumDense": [
        (dict(equation="ab,bc->ac", output_shape=3, bias_axes="c"), VECTOR),
        (dict(equation="abc,cd->abd", output_shape=(3, 3), bias_axes="d"), (3, 4)),
        (dict(equation="abc,cde->abed", output_shape=(3, 5, 2), bias_axes="ed"), (3, 4)),
        (dict(equation="abc,bc->ab", output_shape=3, bias_axes="b"), (3, 4)),
        (dict(equation="abcd,cde->abce", output_shape=(2, 3, 5), bias_axes="be"), (2, 3, 4)),
        (dict(equation="abc,dbc->ad", output_shape=5, activation="relu"), (3, 4)),
        (dict(equation="...x,xy->...y", output_shape=3, bias_axes="y"), (2, 3, 4)),
        (dict(equation="abc,dc->adb", output_shape=(5, 3)), (3, 4)),
    ],
    "Flatten": [({}, IMAGE), (FIRST, IMAGE)],
    "GaussianDropout": RATE,
    "GaussianNoise": [(dict(stddev=0.4), VECTOR)],
    **{f"GlobalAveragePooling{r}D": global_options(r) for r in (1, 2, 3)},
    "Identity": NOTHING,
    "LeakyReLU": [(dict(negative_slope=0.5), VECTOR), (dict(negative_slope=0.125), IMAGE)],
    "MixUp": IMAGES,
    "Normalization": [
        (dict(mean=[1.0, 2.0], variance=[0.5, 2.0]), IMAGE),
        (dict(mean=2.0, variance=0.3, axis=None), IMAGE),
        (dict(mean=2.0, variance=0.3, axis=None, invert=True), VECTOR),
    ],
    "PReLU": [
        ({}, VECTOR),
        ({}, IMAGE),
        (dict(shared_axes=[1, 2]), IMAGE),
        (dict(shared_axes=2), IMAGE),
    ],
    "Permute": [(dict(dims=(2, 1)), (3, 4)), (dict(dims=(3, 1, 2)), IMAGE)],
    "RandAugment": IMAGES,
    **{f"Random{what}": FACTOR for what in ("Brightness", "ColorDegeneration", "Contrast")},
    **{f"Random{what}": FACTOR for what in ("Hue", "Rotation", "Saturation", "Sharpness")},
    **{f"Random{what}": IMAGES for what in ("ColorJitter", "ElasticTransform", "Erasing")},
    **{f"Random{what}": IMAGES for what in ("Flip", "GaussianBlur", "Grayscale", "Invert")},
    **{f"Random{what}": IMAGES for what in ("Perspective", "Shear")},
    "RandomPosterization": [(dict(factor=3), COLOURS)],
    "RandomTranslation": [(dict(height_factor=0.1, width_factor=0.1), COLOURS)],
    "RandomZoom": [(dict(height_factor=0.1), COLOURS)],
    "ReLU": [
        ({}, VECTOR),
        (dict(max_value=0.75), IMAGE),
        (dict(negative_slope=0.25), VECTOR),
        (dict(max_value=1.5, negative_slope=0.25), VECTOR),
        (dict(threshold=0.75), IMAGE),
        (dict(threshold=0.75, negative_slope=0.25), IMAGE),
        (dict(threshold=0.5, max_value=1.5), IMAGE),
        (dict(threshold=0.5, max_value=1.5, negative_slope=0.25), IMAGE),
        (dict(threshold=1.5, max_value=0.5), VECTOR),
    ],
    "RepeatVector": [(dict(n=3), VECTOR)],
    "Rescaling": [
        (dict(scale=0.5), VECTOR),
        (dict(scale=2.0, offset=-1.0), IMAGE),
        (dict(scale=[2.0, 3.0], offset=[1.0, -1.0]), IMAGE),
    ],
    "Reshape": [(dict(target_shape=(2, 2)), VECTOR), (dict(target_shape=(-1, 3)), IMAGE)],
    "SeparableConv1D": depthwise_options(1, filters=4),
    "SeparableConv2D": depthwise_options(2, filters=4),
    "SpatialDropout1D": [(dict(rate=0.4), (3, 4))],
    "SpatialDropout2D": [(dict(rate=0.4), IMAGE)],
    "SpatialDropout3D": [(dict(rate=0.4), (3, *IMAGE))],
    "Subtract": [({}, [VECTOR] * 2), ({}, [(3, 4), (1, 4)])],
    "TimeDistributed": [
        (lambda: steps(keras.layers.Dense, units=3, activation="relu"), SEQUENCE),
        (lambda: steps(keras.layers.LeakyReLU, negative_slope=0.5), SEQUENCE),
        (lambda: steps(keras.layers.ReLU, threshold=0.5, max_value=1.0), SEQUENCE),
        (lambda: steps(keras.layers.Flatten), (3, *IMAGE)),
        (lambda: steps(keras.layers.Cropping2D, cropping=1), (3, *IMAGE)),
        (lambda: steps(keras.layers.Conv1D, filters=3, kernel_size=2, padding="causal"), (3, 4, 2)),
        (lambda: steps(keras.layers.Conv2D, filters=3, kernel_size=2, strides=2), (3, *IMAGE)),
        (lambda: steps(keras.layers.DepthwiseConv2D, kernel_size=2, dilation_rate=2), (3, *IMAGE)),
        (lambda: steps(keras.layers.SeparableConv1D, filters=3, kernel_size=2), (3, 4, 2)),
        (lambda: steps(keras.layers.AveragePooling2D, pool_size=2, padding="same"), (3, *IMAGE)),
        (lambda: steps(keras.layers.Dropout, rate=0.5), SEQUENCE),
    ],
    "UpSampling1D": spatial([{}, dict(size=3)], 1),
    "UpSampling2D": spatial([{}, dict(size=(1, 3)), dict(size=2, **FIRST)], 2),
    "UpSampling3D": spatial([{}, dict(size=(1, 3, 2), **FIRST)], 3),
    "ZeroPadding1D": spatial([{}, dict(padding=(0, 2)), dict(padding=1, **FIRST)], 1),
    "ZeroPadding2D": spatial([{}, dict(padding=((0, 1), (2, 3)), **FIRST)], 2),
    "ZeroPadding3D": spatial([{}, dict(padding=((0, 1), (2, 3), (1, 0)))], 3),
}


# Layers whose one output is computed by a copy of the layer.
FALLBACK = {
    **{f"AdaptiveMaxPooling{r}D": adaptive_options(r)[:1] for r in (1, 2)},
    "AdaptiveMaxPooling3D": [(dict(output_size=2), (4, 4, 4, 2))],
    "AdditiveAttention": [({}, [SEQUENCE, SEQUENCE])],
    "Attention": [({}, [SEQUENCE, SEQUENCE]), (dict(use_scale=True), [SEQUENCE] * 3)],
    "AutoContrast": IMAGES,
    "Bidirectional": [(lambda: dict(layer=keras.layers.LSTM(2, dtype="float64")), SEQUENCE)],
    "CategoryEncoding": [(dict(num_tokens=4), (3,))],
    "ContrastLimitedAdaptiveHistogramEqualization": IMAGES,
    **{f"ConvLSTM{r}D": [(dict(filters=2, kernel_size=2), (3, *[4] * r, 2))] for r in (1, 2, 3)},
    "Discretization": [(dict(bin_boundaries=[0.0, 1.0]), VECTOR)],
    "Dot": [(dict(axes=1), [VECTOR, VECTOR])],
    "ELU": [({}, VECTOR)],
    "Embedding": [(dict(input_dim=5, output_dim=3), (4,))],
    "GRU": [(dict(units=3), SEQUENCE), (dict(units=3, return_sequences=True), SEQUENCE)],
    "GRUCell": [(dict(units=3), [VECTOR, (3,)])],
    **{f"GlobalMaxPooling{r}D": global_options(r)[:2] for r in (1, 2, 3)},
    "GroupNormalization": [(dict(groups=2), (5, 4))],
    "GroupedQueryAttention": [
        (dict(head_dim=2, num_query_heads=2, num_key_value_heads=1), [SEQUENCE] * 2)
    ],
    "LSTM": [(dict(units=3), SEQUENCE), (dict(units=3, return_state=True), SEQUENCE)],
    "LSTMCell": [(dict(units=3), [VECTOR, [(3,), (3,)]])],
    "Lambda": [(dict(function=keras.ops.square), VECTOR)],
    "LayerNormalization": [({}, VECTOR), ({}, SEQUENCE)],
    **{f"MaxPooling{r}D": pool_options(r)[:3] for r in (1, 2)},
    "MaxPooling3D": [(dict(pool_size=2), (4, 4, 4, 2))],
    "Maximum": [({}, [VECTOR] * 2)],
    "MelSpectrogram": [(dict(fft_length=16, sequence_stride=8, num_mel_bins=4), (64,))],
    "Minimum": [({}, [VECTOR] * 3)],
    "MultiHeadAttention": [(dict(num_heads=2, key_dim=2), [SEQUENCE] * 2)],
    "Multiply": [({}, [VECTOR] * 2)],
    "RMSNormalization": [({}, VECTOR)],
    "RNN": [(lambda: dict(cell=keras.layers.GRUCell(2, dtype="float64")), SEQUENCE)],
    "Pipeline": [(lambda: dict(layers=[keras.layers.Solarization(dtype="float64")]), COLOURS)],
    "Resizing": [(dict(height=3, width=5), COLOURS)],
    "ReversibleEmbedding": [(dict(input_dim=5, output_dim=3), (4,))],
    "STFTSpectrogram": [(dict(frame_length=16), (64, 1))],
    "SimpleRNN": [(dict(units=3), SEQUENCE)],
    "SimpleRNNCell": [(dict(units=3), [VECTOR, (3,)])],
    "Softmax": [({}, VECTOR)],
    "Solarization": IMAGES,
    "SpectralNormalization": [(lambda: dict(layer=keras.layers.Dense(3, dtype="float64")), VECTOR)],
    "StackedRNNCells": [
        (
            lambda: dict(cells=[keras.layers.GRUCell(2, dtype="float64") for _ in range(2)]),
            [VECTOR, [(2,), (2,)]],
        )
    ],
    "UnitNormalization": [({}, VECTOR)],
}


#: Exact with `true_max_pool`.
MAX_POOLING = {
    **{f"MaxPooling{r}D": pool_options(r) for r in (1, 2)},
    "MaxPooling3D": pool_options(3)[:1],
    **{f"GlobalMaxPooling{r}D": global_options(r) for r in (1, 2, 3)},
    **{f"AdaptiveMaxPooling{r}D": adaptive_options(r) for r in (1, 2)},
    "AdaptiveMaxPooling3D": [(dict(output_size=2), (4, 4, 4, 2))],
    "TimeDistributed": [
        (lambda: steps(keras.layers.MaxPooling2D, pool_size=2, padding="same"), (3, *IMAGE))
    ],
}


LAYERS = {
    cls.__name__: cls
    for cls in vars(keras.layers).values()
    if isinstance(cls, type) and issubclass(cls, keras.layers.Layer)
}
#: TensorFlow computes these in 32 bits alone.
ONLY_FLOAT32 = ("AdaptiveMaxPooling3D", "MaxPooling3D", "MelSpectrogram", "Resizing")
NO_DTYPE = ("Pipeline",)


def build(name, options):
    """A model of float64 with one output for each option, and values for its inputs."""
    rng = np.random.RandomState(0)
    inputs, outputs, values = [], [], []
    dtype = "float32" if name in ONLY_FLOAT32 else "float64"
    for arguments, shapes in options:
        given = keras.tree.map_shape_structure(lambda s: keras.Input(s, dtype=dtype), shapes)
        arguments = arguments() if callable(arguments) else arguments
        layer = LAYERS[name](**arguments, **({} if name in NO_DTYPE else dict(dtype=dtype)))
        outputs.extend(keras.tree.flatten(called(layer, given)))
        given = keras.tree.flatten(given)
        inputs.extend(given)
        values.extend(numbers(name, x, rng) for x in given)
        for weight in layer.weights:
            randomize(weight, rng)
    return keras.Model(inputs, outputs), values


def called(layer, given):
    """Call a layer as it is meant to be: most take all inputs as one argument."""
    name = type(layer).__name__
    apart = name.endswith(("HeadAttention", "QueryAttention", "Cell", "Cells"))
    return layer(*given) if apart else layer(given)


def numbers(name, tensor, rng):
    """Values for an input: whole ones for what looks them up, bright ones for images."""
    shape = (2, *tensor.shape[1:])
    if name in ("Embedding", "ReversibleEmbedding", "CategoryEncoding"):
        return rng.randint(0, 4, size=shape).astype(float)
    if tensor.shape[1:] == COLOURS:
        return rng.uniform(0, 255, size=shape)
    return rng.uniform(-2, 2, size=shape)


def randomize(weight, rng):
    """Give a weight random values: of variances, positive ones."""
    if not str(weight.dtype).startswith("float"):
        return
    low = 0.5 if "variance" in weight.path else -1.0
    weight.assign(rng.uniform(low, 1.5, size=weight.shape))
