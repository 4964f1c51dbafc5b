"""Tuning Wan on films: shots joined in self-attention, other shots' keyframes in sight (section 3.3).

A sequence is some consecutive shots of a film, each starting at its keyframe, with keyframes of the film's
other shots chosen as in filming. A step's sequences are divided among processes and computed one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor

from captain_cinema.errors import AbilityError, CinemaError
from captain_cinema.shots.conditioning import SlotBatch, attempt
from captain_cinema.shots.model import save_shot_model
from captain_cinema.shots.open_wan import MARK
from captain_cinema.shots.wan_latents import WAN_STRETCH
from captain_cinema.shots.windows import carried_keyframes, deal
from captain_cinema.train.seeds import step_generator, step_rng
from captain_cinema.train.sharing import WHOLE, Share
from captain_cinema.train.wan_clips import EncodedFilm

LORA_FILE = "pytorch_lora_weights.safetensors"
TARGETS = r"blocks\.\d+\.(attn[12]\.(to_q|to_k|to_v|to_out\.0)|ffn\.net\.(0\.proj|2))"
"""The layers that a LoRA tunes: all of attention and feed-forward in all blocks."""


@dataclass(frozen=True, kw_only=True)
class WanTraining:
    """What Wan is tuned on."""

    batch: int = 8
    """Sequences a step, of all processes together."""
    together: tuple[int, ...] = (1, 2, 4)
    """Joined shots of a sequence: numbers that take turns from step to step."""
    context: int = 3
    """Other shots' keyframes for each shot of a sequence, at most."""
    shift: float = 5.0
    """Moves the noise levels towards noise, as in sampling."""
    context_noise: float = 0.05
    """Noise mixed into the clean keyframes at most, so that drawn ones are as good as true ones."""
    drop_text: float = 0.1
    """Share of shots that read an empty caption, for guidance."""
    lora: int = 0
    """Rank of the adapters; 0 tunes all weights."""


class WanShotTask:
    """Film several shots of one film, each from its keyframe.

    Args:
        model: the transformer, with its adapters if it has any.
        films: encoded films.
        blind: the tokens of an empty caption, filled up.
        training: what to train on.
        seed: of the run.
        draw: decodes latents for the sample sheet; None draws none.
    """

    replicas = 1

    def __init__(
        self,
        model: WanTransformer3DModel,
        films: Sequence[EncodedFilm],
        blind: Float[Tensor, "txt_len txt_dim"],
        training: WanTraining,
        *,
        seed: int = 0,
        draw: Callable[[Float[Tensor, "channels slots h w"]], np.ndarray] | None = None,
    ) -> None:
        self.model, self.blind, self.training, self.seed = model, blind, training, seed
        self.draw = draw
        self.films = [film for film in films if len(film.traits) >= min(training.together)]
        if not self.films:
            raise CinemaError(
                f"no film has {min(training.together)} shots in motion with a caption; add longer films"
            )
        counts = np.array([len(film.traits) for film in self.films], dtype=np.float64)
        self._weights = counts / counts.sum()

    def parts(self, step: int) -> int:
        """One sequence at a time: gradient checkpointing runs the blocks again under the last layout."""
        if self.training.batch % self.replicas:
            raise CinemaError(
                f"a batch of {self.training.batch} sequences cannot be divided among {self.replicas} "
                "processes evenly; give a --batch that can"
            )
        return self.training.batch // self.replicas

    def sequence(self, step: int, number: int) -> SlotBatch:
        """Sequence `number` of a step, a function of the seed alone."""
        rng = step_rng(self.seed, 11, step, number)
        film = self.films[int(rng.choice(len(self.films), p=self._weights))]
        count = self.training.together[step % len(self.training.together)]
        count = min(count, len(film.traits))
        first = int(rng.integers(0, len(film.traits) - count + 1))
        shots = range(first, first + count)
        room = int(rng.integers(0, count * self.training.context + 1))
        hands = deal(carried_keyframes(film.traits, shots, room), count)
        return self._gather(film, shots, hands)

    def _gather(self, film: EncodedFilm, shots: Sequence[int], hands: Sequence[Sequence[int]]) -> SlotBatch:
        clips = [film.slots(shot) for shot in shots]
        lengths = tuple(clip.shape[1] for clip in clips)
        pairs = max(len(hand) for hand in hands)
        channels, _, *size = clips[0].shape
        moving = torch.zeros(len(clips), channels, max(lengths) - 1, *size)
        for place, clip in enumerate(clips):
            moving[place, :, : lengths[place] - 1] = clip[:, 1:]
        context = torch.zeros(len(clips), pairs, channels, *size)
        for place, hand in enumerate(hands):
            for other, shot in enumerate(hand, start=pairs - len(hand)):
                context[place, other] = film.slots(shot)[:, 0]
        given = torch.tensor([len(hand) for hand in hands])
        return SlotBatch(
            keyframe=torch.stack([clip[:, 0] for clip in clips]),
            moving=moving,
            context=context,
            txt=torch.stack([film.txt(shot) for shot in shots]),
            shots=len(clips),
            context_valid=torch.arange(pairs) >= pairs - given[:, None],
            lengths=lengths,
            blind=self.blind.expand(len(clips), -1, -1),
            stretch=WAN_STRETCH,
        )

    def loss(self, step: int, share: Share = WHOLE) -> tuple[Tensor, dict[str, float]]:
        """The rectified-flow loss of `shots.conditioning`, the mean over the share's sequences."""
        numbers = share.of(list(range(self.training.batch)))
        if len(numbers) > 1 and self.model.gradient_checkpointing:
            raise ValueError("with gradient checkpointing a share is one sequence")
        device, training = next(self.model.parameters()).device, self.training
        losses = []
        for number in numbers:
            generator = step_generator(self.seed, 12, step, number)
            if device.type != "cpu":
                generator = torch.Generator(device).manual_seed(generator.initial_seed())
            losses.append(
                attempt(
                    self.model,
                    to_device(self.sequence(step, number), device),
                    generator,
                    shift=training.shift,
                    context_noise=training.context_noise,
                    txt_dropout=training.drop_text,
                    prediction="velocity",
                ).loss
            )
        return torch.stack(losses).mean(), {}

    def compile(self) -> None:
        """See `Task`."""
        self.model.compile()

    @torch.no_grad()
    def sample_sheet(self, path: Path) -> None:
        """A few shots as they are, and under each what the model takes it for at half noise."""
        if self.draw is None:
            return
        from captain_cinema.shots.conditioning import clean_slots, keyframe_slots, velocity
        from captain_cinema.train.sheets import write_sheet

        rows, device = [], next(self.model.parameters()).device
        for number in range(min(3, len(self.films))):
            clip = self._gather(self.films[number], range(1), [()])
            held, slots = keyframe_slots(clip.keyframe[:, None], 1), 1 + clip.moving.shape[2]
            clean = clean_slots(held, clip.txt, slots=slots, stretch=clip.stretch)
            eps = torch.randn(clip.moving.shape, generator=step_generator(self.seed, 13, number))
            noisy, level = 0.5 * (clip.moving + eps), torch.full((1,), 0.5, device=device)
            clean = to_device(clean, device)
            said = velocity(self.model, noisy.to(device), level, clean, prediction="velocity")
            taken = noisy - 0.5 * said.float().cpu()
            for moving in (clip.moving, taken):
                frames = self.draw(torch.cat([clip.keyframe[0][:, None], moving[0]], dim=1))
                rows.append([frames[i] for i in np.linspace(0, len(frames) - 1, 5).astype(int)])
        height, width = rows[0][0].shape[:2]
        write_sheet(path, [[frame[:height, :width] for frame in row] for row in rows])

    def export(self, folder: Path) -> None:
        """A LoRA in diffusers' format or the whole transformer, and `shots.json` beside it."""
        self._write(folder, None)

    def export_state(self, folder: Path, state: dict[str, Tensor]) -> None:
        """See `SharedTask`."""
        self._write(folder, state)

    def _write(self, folder: Path, state: Mapping[str, Tensor] | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.training.lora:
            found = self.model.state_dict() if state is None else state
            save_file(lora_weights(found), folder / LORA_FILE, {"format": "pt"})
        elif state is None:
            save_shot_model(self.model, folder / "transformer")
        else:
            with torch.device("meta"):
                twin = WanTransformer3DModel.from_config(self.model.config)
            assert isinstance(twin, WanTransformer3DModel)
            twin.load_state_dict(dict(state), assign=True)
            save_shot_model(twin, folder / "transformer")
        joined = max(self.training.together) > 1
        told = {"cross_shot": joined, "context": self.training.context if joined else 0}
        (folder / MARK).write_text(json.dumps(told) + "\n", encoding="utf-8")


def to_device(batch: Any, device: torch.device) -> Any:
    """A dataclass of tensors, and of such dataclasses, on a device."""
    moved = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            moved[field.name] = value.to(device)
        elif is_dataclass(value):
            moved[field.name] = to_device(value, device)
    return replace(batch, **moved)


def add_lora(model: WanTransformer3DModel, *, rank: int, seed: int) -> WanTransformer3DModel:
    """Give Wan trainable low-rank updates that change nothing yet, and freeze the rest.

    Raises:
        AbilityError: peft is not installed.
    """
    try:
        from peft import LoraConfig
    except ImportError:
        raise AbilityError('LoRA needs an extra: pip install "captain-cinema[tuning]"') from None
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def lora_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's adapters under the names that diffusers and ComfyUI read; alpha is the rank."""
    return {
        "transformer." + name.replace(".default.", "."): weight.detach().cpu().contiguous()
        for name, weight in state.items()
        if ".lora_" in name
    }
