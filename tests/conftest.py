"""Fixtures: the two bundled real models. Tests that use one are marked `model`."""

from __future__ import annotations

import pytest

from breadth.models.base import Model
from breadth.models.load import load_model


@pytest.fixture(scope="session")
def smollm2() -> Model:
    return load_model("smollm2-135m", device="cpu")


@pytest.fixture(scope="session")
def gemma3() -> Model:
    return load_model("gemma3-270m", device="cpu")
