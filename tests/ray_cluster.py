"""A Ray cluster of this machine, for as long as a test wants one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def local_ray(folder: Path) -> Iterator[None]:
    """Start Ray; its workers find the modules in this folder."""
    import ray

    places = [str(folder), os.environ.get("PYTHONPATH", "")]
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, places))}},
    )
    try:
        yield
    finally:
        ray.shutdown()
