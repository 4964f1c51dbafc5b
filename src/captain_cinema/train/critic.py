"""A critic for the embedded VAE's decoder: averages of likely pictures look unlike any true frame.

Differences of pixels alone make a decoder blur whatever the latents leave open: a rim that could stand one
pixel further left is drawn half as strong. The critic looks at patches and learns to tell decoded frames from
true ones; the decoder is paid for patches that pass (the adversarial part of VQGAN, Esser et al. 2021,
https://arxiv.org/abs/2012.09841, with a hinge loss).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call


class PatchCritic(nn.Module):
    """One number for every patch of some thirty pixels a side: high for true ones.

    Args:
        width: channels after the first layer; each further layer has twice as many.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            nn.GroupNorm(4, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False),
            nn.GroupNorm(4, 4 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )

    def forward(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 rows cols"]:
        """Judge frames in [-1, 1]."""
        return self.layers(pixels)

    def losses(
        self, true: Float[Tensor, "n 3 h w"], drawn: Float[Tensor, "n 3 h w"]
    ) -> tuple[Tensor, Tensor]:
        """The critic's own loss, which sends no gradient to the drawn frames, and the decoder's, which sends
        none to the critic: both may be added up and given to one optimiser.
        """
        own = F.relu(1 - self(true)).mean() + F.relu(1 + self(drawn.detach())).mean()
        fixed = {name: value.detach() for name, value in self.named_parameters()}
        passes = -functional_call(self, fixed, (drawn,)).mean()
        return own, passes


def slope(loss: Tensor, at: Tensor) -> Tensor:
    """Size of a loss's gradient at some pixels: what VQGAN weighs its losses against each other by."""
    (gradient,) = torch.autograd.grad(loss, at, retain_graph=True)
    return gradient.norm()
