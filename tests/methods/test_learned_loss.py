"""Methods that learn rows through a pretrained encoder lower its loss on text that they did not read."""

from dataclasses import replace

import pytest
from sample_encoder import SampleEncoder, sample_encoder

from focus_plugin.mixing.discovery import find_method

LEAST = 0.05  # nats below FOCUS
OPTIONS = {"newrows": {}, "newrows from regression": {"start": "regression"}, "regression": {}, "distillation": {}}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> SampleEncoder:
    return sample_encoder(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def start(sample) -> float:
    """The loss of FOCUS with a calibrated bias."""
    method = find_method("focus").declaration
    return sample.loss(method.make(replace(sample.given, options=method.options())))


@pytest.mark.parametrize("name", OPTIONS)
def test_the_loss_is_lower_than_that_of_the_start(sample, start, name):
    method = find_method(name.split()[0]).declaration
    made = method.make(replace(sample.given, options=method.options(budget=16_384, **OPTIONS[name])))
    assert sample.loss(made) < start - LEAST
