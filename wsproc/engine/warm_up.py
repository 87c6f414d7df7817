"""A first pass through each stage before it serves, so that no client pays for what is done once.

Libraries choose kernels, grow their memory pools and start their threads in the first passes.
"""

from __future__ import annotations

import logging

from wsproc.engine.call import EngineError
from wsproc.engine.stages.stage import Stage

logger = logging.getLogger("wsproc.engine")

STEPS = 3
"""Enough for a decoder to read its prompt and to write on it."""


def warm_up(name: str, stage: Stage) -> None:
    """Give a stage its `warm_up_item`, if it has one, for a few steps.

    What goes wrong is logged and stops nothing: the stage may serve all others well.
    """
    item = getattr(stage, "warm_up_item", None)
    if item is None:
        return
    try:
        (run,) = stage.begin([item])
        if isinstance(run, EngineError):
            raise run
        _advance(stage, run)
    except Exception as error:  # a stage of one's own may raise anything
        logger.warning("the stage %s could not be warmed up", name, exc_info=error)


def _advance(stage: Stage, run: object) -> None:
    try:
        for _ in range(STEPS):
            (emission,) = stage.step([run])
            if emission.finished:
                break
        if emission.error is not None:
            raise emission.error
    finally:
        stage.release([run])
