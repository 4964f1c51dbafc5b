"""Which precision a device multiplies fastest in, and what must not be left to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def fast_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are worth it there.

    CUDA devices have units for it. Of the CPUs, those with AMX multiply eight times as fast as in float32,
    those with AVX512-BF16 two and a half times; others emulate it, up to a hundred times slower.
    """
    if not device.startswith("cpu"):
        return device.startswith("cuda")
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16", False) or able.get("avx512_bf16", False))


class _InFloat(TorchFunctionMode):
    """Runs the given functions in float32, whatever autocast would have."""

    def __init__(self, device: str, functions: Collection[Callable[..., Any]]) -> None:
        super().__init__()
        self.device, self.functions = device, functions

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in self.functions:
            return func(*args, **kwargs)
        with torch.autocast(self.device, enabled=False):
            return func(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})


def _wide(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value


@contextlib.contextmanager
def mixed_precision(device: str, *, enabled: bool) -> Iterator[None]:
    """bfloat16 where it is safe, as torch.autocast does, and RMS norms in the precision of their weights.

    On a CPU attention stays in float32 too: its backward pass takes three times as long in bfloat16.
    """
    kind = torch.device(device).type
    if not enabled:
        yield
        return
    wide = {F.rms_norm, F.scaled_dot_product_attention} if kind == "cpu" else {F.rms_norm}
    with torch.autocast(kind, torch.bfloat16), _InFloat(kind, wide):
        yield
