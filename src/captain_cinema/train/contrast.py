"""The loss along what tells a true picture from one in which a single thing is otherwise.

The playhouse can draw the same frame with a character of another kind, the same clip with another action.
From the true one to that counterfactual is one direction of a token's many, and the plain error hardly sees
it: models knew each character's kind in the very tokens it covers, and drew the mean of all kinds
(docs/log.md). So the error along that direction is weighed by itself. The best prediction stays the same.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

QUIET = 1.0
"""Squared length of a token's difference at which `even` begins to scale clips alike."""


def contrast_loss(
    off: Float[Tensor, "b n img_len channels"], contrast: Float[Tensor, "b n img_len channels"]
) -> tuple[Tensor, float]:
    """Squared error towards the counterfactual, token by token.

    Args:
        off: predicted clean frames or clips less the true ones.
        contrast: from the true ones to their counterfactuals; zeros where there is none.

    Returns:
        The mean over tokens, each weighed by how much it differs; of the frames or clips that have a
        counterfactual, the share whose prediction is nearer to the true one.
    """
    along, length = (off * contrast).sum(dim=-1), contrast.square().sum(dim=-1)
    loss = along.square().sum() / length.sum().clamp(min=1e-6)
    seen = length.sum(dim=-1) > 0
    nearer = along.detach().sum(dim=-1) < length.sum(dim=-1) / 2
    return loss, float(nearer[seen].float().mean()) if seen.any() else 0.0


def even(contrast: Float[Tensor, "b n tokens channels"]) -> Float[Tensor, "b n 1 1"]:
    """A factor for both arguments of `contrast_loss` that lets small gestures count as much as large ones."""
    length = contrast.square().sum(dim=-1, keepdim=True)
    typical = length.square().sum(dim=2, keepdim=True) / length.sum(dim=2, keepdim=True).clamp(min=1e-6)
    return (QUIET + typical).rsqrt()
