"""Well-known models: all layers are accounted for, and outputs are Keras's."""

import keras
import nengo
import numpy as np
import pytest

from nengo_dl.benchmarks import conversion
from nengo_dl.converter import Converter


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "ResNet50"])
def test_applications(name):
    found = conversion.measure(name)
    assert set(found.layers) <= {"exact", "fallback"}
    assert found.layers["exact"] > found.layers["fallback"]
    assert found.difference < 1e-5
    assert found.convert_s < 30


@pytest.mark.slow
def test_a_deep_network_keeps_its_weights():
    """All of DenseNet121 but for batch normalisation, without a TensorNode."""
    model = keras.applications.DenseNet121(
        weights=None, include_top=False, input_shape=(112, 112, 3)
    )
    converter = Converter(model, allow_fallback=False, inference_only=True, max_to_avg_pool=True)
    kernels = [c.transform for c in converter.net.all_connections]
    kernels = [t.init for t in kernels if isinstance(t, nengo.Convolution)]
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    wanted = model.count_params() - sum(norm.count_params() for norm in norms)
    assert sum(map(np.size, kernels)) == wanted


def test_the_table_has_a_row_for_each_model(monkeypatch, capsys):
    measured = conversion.Conversion("Tiny", {"exact": 3}, {"Dense: why": 1}, 1.0, 2.0, 3.0, 1e-7)
    monkeypatch.setattr(conversion, "measure", lambda *_: measured)
    conversion.main(["MobileNetV2"])
    output = capsys.readouterr().out
    assert "MobileNetV2: 1 × Dense: why" in output
    assert "1.0e-07" in output
    with pytest.raises(SystemExit):
        conversion.main(["NoModel"])
    assert "NoModel: keras.applications has no such model" in capsys.readouterr().err
