"""Every test runs offline, on one thread, with tensor shapes checked against their annotations."""

import os

from hypothesis import settings

# Before torch and the hub client are imported: both read these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the runner starts one process a core
os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

TENSOR_ROOMS = ["backbone", "flow", "keyframes", "shots"]

install_import_hook([f"captain_cinema.{room}" for room in TENSOR_ROOMS], "beartype.beartype")

# A submission is judged by the same examples every time; at the desk new ones are tried.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
