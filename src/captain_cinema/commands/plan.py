"""`cinema plan`: costs before they arise."""

from __future__ import annotations

from typing import Annotated

import tyro

from captain_cinema.commands.outcome import Outcome

Number = Annotated[int | None, tyro.conf.arg(metavar="N")]
Pixels = Annotated[int | None, tyro.conf.arg(metavar="PIXELS")]


def plan(
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "paper",
    pairs: Annotated[int, tyro.conf.arg(metavar="N")] = 32,
    goldenmem: Annotated[str, tyro.conf.arg(metavar="GROUPSxIMAGES")] = "default",
    train: bool = False,
    txt_len: Number = None,
    old_txt_len: Number = None,
    height: Pixels = None,
    width: Pixels = None,
    steps: Number = None,
    batch: Annotated[int, tyro.conf.arg(metavar="N")] = 1,
    json: bool = False,
) -> Outcome:
    """Count what keyframes or their training will cost, and on which GPU they fit; loads no weights.

    Args:
        preset: embedded, open, klein, klein-9b, flux2-dev or paper.
        pairs: captions and keyframes together, with the one to draw.
        goldenmem: the memory, such as 3x8; none holds all at full size.
        train: count a training step too.
        txt_len: text tokens a pair; the preset's if left out.
        old_txt_len: text tokens of pairs whose frame is shrunk; as many as others if left out.
        height: of a frame; the preset's if left out.
        width: of a frame.
        steps: sampling steps a frame; the preset's if left out.
        batch: with --train: sequences a GPU and step.
        json: print one JSON object.
    """
    from captain_cinema.evaluate.cost_plan import Request, as_dict, as_text, make_plan

    made = make_plan(
        Request(
            preset=preset,
            pairs=pairs,
            goldenmem=goldenmem,
            train=train,
            txt_len=txt_len,
            old_txt_len=old_txt_len,
            height=height,
            width=width,
            steps=steps,
            batch=batch,
        )
    )
    return Outcome(data=as_dict(made), text=as_text(made))
