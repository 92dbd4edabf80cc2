"""Well-known models: all layers are accounted for, and outputs are Keras's."""

import pytest

from nengo_dl.benchmarks import conversion


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "ResNet50"])
def test_applications(name):
    found = conversion.measure(name)
    assert set(found.layers) <= {"exact", "fallback"}
    assert found.layers["exact"] > found.layers["fallback"]
    assert found.difference < 1e-5
    assert found.convert_s < 30


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
