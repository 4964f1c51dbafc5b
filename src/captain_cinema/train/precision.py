"""Which precision a device multiplies fastest in, and what must not be left to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def fast_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are worth it there.

    CUDA devices have units for it. Of the CPUs, those with AMX multiply eight times as fast as in float32;
    others emulate it, up to a hundred times slower.
    """
    if not device.startswith("cpu"):
        return device.startswith("cuda")
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


class _FloatAttention(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return func(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})


def _wide(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value


@contextlib.contextmanager
def mixed_precision(device: str, *, enabled: bool) -> Iterator[None]:
    """bfloat16 where it is safe, as torch.autocast does.

    On a CPU attention stays in float32: its backward pass takes three times as long in bfloat16.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(torch.device(device).type, torch.bfloat16, enabled=enabled))
        if enabled and device.startswith("cpu"):
            stack.enter_context(_FloatAttention())
        yield
