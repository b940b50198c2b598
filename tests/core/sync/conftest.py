"""Every example of the sync tree is told to the model and to the native engine."""

from collections.abc import Callable

import pytest
from tests.core.sync.scene import Scene
from tests.model.engine_model import EngineModel
from tests.model.native_engine import NativeEngine

ENGINES: dict[str, Callable[[], EngineModel | NativeEngine]] = {
    "model": EngineModel,
    "native": NativeEngine,
}


@pytest.fixture(params=ENGINES.values(), ids=list(ENGINES))
def scene(request: pytest.FixtureRequest) -> Scene:
    """Give a sync tree without listeners, data or writes."""
    engine: EngineModel | NativeEngine = request.param()
    return Scene(engine)
