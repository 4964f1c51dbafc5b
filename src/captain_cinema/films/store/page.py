"""`cinema dataset show`: one page that needs nothing else, with frames, captions, reasons and crops."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from captain_cinema.films.records import Crop, FilmRecord, KeyframeRecord
from captain_cinema.films.store.page_style import SCRIPT, STYLE
from captain_cinema.films.store.paths import DatasetError, written_aside
from captain_cinema.films.store.pictures import encode_jpeg, resize
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.store.records import keyframe_key
from captain_cinema.films.store.revise import read_previews
from captain_cinema.films.store.stats import DatasetStats, spoken_length, stats
from captain_cinema.films.store.writer import film_path, stored_film

KEYFRAMES = 400
"""Shown at most; a page of more takes long to open."""
AT_LEAST = 4
"""Of every film."""
SHOWN_WIDTH, SHOWN_QUALITY = 360, 78

TAG = re.compile(r"&lt;([^\n]*?)&gt;")


def write_page(path: Path, out: Path, *, keyframes: int = KEYFRAMES) -> int:
    """Write the page of a dataset.

    Args:
        path: the dataset's folder.
        out: the HTML file; one that is there is replaced.
        keyframes: shown at most, spread over the films by their lengths and evenly over each.

    Returns:
        Keyframes shown.

    Raises:
        DatasetError: no dataset, or one that cannot be opened.
    """
    if keyframes < 1:
        raise DatasetError(f"a page of {keyframes} keyframes shows nothing; give 1 or more")
    numbers = stats(path)
    dataset = Dataset(path)
    shown = 0
    try:
        with written_aside(out) as part, part.open("w", encoding="utf-8", errors="replace") as file:
            file.write(_head(path, numbers))
            for film, count in _shares(dataset, keyframes):
                chosen = _spread(dataset.keyframes(film.id, kept=False), count)
                shown += len(chosen)
                for piece in _film(dataset, film, chosen):
                    file.write(piece)
            file.write(_files(dataset.files()))
            file.write(f"</main><script>{SCRIPT}</script></body></html>\n")
    finally:
        dataset.close()
    return shown


def _shares(dataset: Dataset, keyframes: int) -> Iterator[tuple[FilmRecord, int]]:
    """Every film with how many of its keyframes are shown; when there are very many films, the first ones."""
    lengths = {film: dataset.length(film) for film in dataset.film_ids()}
    total = sum(lengths.values())
    left = keyframes
    for film, length in lengths.items():
        count = length if total <= keyframes else min(length, max(AT_LEAST, length * keyframes // total))
        count = min(count, left)
        if count or not length:
            yield dataset.film(film), count
        left -= count


def _spread(records: list[KeyframeRecord], count: int) -> list[KeyframeRecord]:
    """So many of them, evenly; whole shots, since the two keyframes of a shot are looked at together."""
    if count >= len(records):
        return records
    shots = sorted({record.shot for record in records})
    wanted = max(1, count * len(shots) // max(1, len(records)))
    chosen = {shots[i * len(shots) // wanted] for i in range(wanted)}
    return [record for record in records if record.shot in chosen]


def _head(path: Path, numbers: DatasetStats) -> str:
    title = escape(path.resolve().name or str(path))
    tiles = {
        "films": numbers.films,
        "of film": spoken_length(numbers.hours),
        "shots": numbers.shots,
        "keyframes kept": numbers.kept,
        "dropped": numbers.dropped,
        "captions": numbers.kept - numbers.captions_missing,
        "characters": numbers.all_characters,
    }
    shown = "".join(
        f'<div class="tile"><b>{value}</b><span class="soft">{name}</span></div>'
        for name, value in tiles.items()
    )
    most = max(numbers.reasons.values(), default=1)
    bars = "".join(
        f'<span>{escape(reason)}</span><i style="width:{100 * count / most:.0f}%"></i><span>{count}</span>'
        for reason, count in numbers.reasons.items()
    )
    boxes = "".join(
        f'<label><input type="checkbox" value="{name}" checked> {name}</label>'
        for name in ("kept", "dropped", "middle", "first")
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f'<header class="top"><h1>{title}</h1><div class="tiles">{shown}</div>'
        + (
            f'<div class="soft">Why keyframes were dropped</div><div class="bars">{bars}</div>'
            if bars
            else ""
        )
        + f'</header><main><nav>{boxes}<span class="legend"><i style="border-color:var(--border)"></i>'
        'picture without bars<i style="border-color:var(--crop)"></i>2:1 crop</span></nav>'
    )


def _film(dataset: Dataset, film: FilmRecord, chosen: list[KeyframeRecord]) -> Iterator[str]:
    facts = [
        f"{_clock(film.seconds)}",
        f"{film.width}×{film.height}",
        f"{film.fps:.3g} frames a second",
        film.codec,
        f"{film.shots} shot{'' if film.shots == 1 else 's'}"
        + (f" by {film.detector}" if film.detector else ""),
        f"{film.kept} keyframes kept, {film.dropped} dropped",
    ]
    rest = film.kept + film.dropped - len(chosen)
    facts += [f"{rest} of them not shown here"] if rest > 0 else []
    bad = " bad" if film.verdict != "ok" else ""
    yield f'<section><h2>{escape(film.name)}<span class="badge{bad}">{film.verdict}</span></h2>'
    yield f'<div class="facts">{" · ".join(escape(fact) for fact in facts if fact)}</div>'
    if film.reason:
        yield f'<div class="reason">{escape(film.reason)}</div>'
    if film.caption:
        yield f"<p>{_tagged(film.caption)}</p>"
    if film.cast:
        cast = "; ".join(f"{_name(name)} {escape(text)}" for name, text in film.cast)
        yield f'<p class="soft">{cast}</p>'
    yield _strip(film, dataset.keyframes(film.id, kept=False))
    previews = read_previews(dataset.path, stored_film(film_path(dataset.path, film.id)).files)
    yield '<div class="grid">'
    for record in chosen:
        yield _card(dataset, film, record, previews)
    yield "</div></section>"


def _strip(film: FilmRecord, records: list[KeyframeRecord]) -> str:
    """The film as a strip: a piece a shot, by what became of its keyframes."""
    spans: dict[int, tuple[float, float, bool]] = {}
    for record in records:
        kept = record.verdict == "kept" or spans.get(record.shot, (0, 0, False))[2]
        spans[record.shot] = (record.start, record.end, kept)
    length = max([film.seconds, *(end for _, end, _ in spans.values())], default=0.0)
    if length <= 0:
        return ""
    pieces = "".join(
        f'<rect x="{1000 * start / length:.2f}" width="{max(0.4, 1000 * (end - start) / length - 0.8):.2f}"'
        f' height="18" fill="var(--{"kept" if kept else "dropped"})" opacity=".7">'
        f"<title>shot {shot}: {_clock(start)} to {_clock(end)}</title></rect>"
        for shot, (start, end, kept) in spans.items()
    )
    return f'<svg class="strip" viewBox="0 0 1000 18" preserveAspectRatio="none">{pieces}</svg>'


def _card(dataset: Dataset, film: FilmRecord, record: KeyframeRecord, previews: dict[str, bytes]) -> str:
    key = keyframe_key(record.film, record.shot, record.role)
    picture = _picture(dataset, record, previews.get(f"{key}.jpg", b""))
    when = f"shot {record.shot}, {'mid-shot' if record.role == 'middle' else 'first clean'} frame"
    about: list[str] = [f'<div class="time">{when} · {_clock(record.seconds)} · frame {record.frame}</div>']
    if record.verdict == "dropped":
        about.append(f'<p class="reason">dropped: {escape(record.reason or "no reason given")}</p>')
    elif record.reason:
        about.append(f'<p class="note">{escape(record.reason)}</p>')
    if record.replaced:
        about.append(f'<p class="note">stands for a frame that was {escape(record.replaced)}</p>')
    if record.caption:
        about.append(f"<p>{_tagged(record.caption)}</p>")
    elif record.verdict == "kept":
        about.append('<p class="missing">no caption</p>')
    measured = (
        f"brightness {record.luma:.0f}, sharpness {record.sharpness:.1f}<br>"
        f"{film.width}×{film.height} → {record.crop.width}×{record.crop.height}"
        f" → {record.width}×{record.height}"
    )
    return (
        f'<article class="{record.verdict} {record.role}">{picture}<div class="text">{"".join(about)}</div>'
        f'<div class="before">{_before(film, record, previews.get(f"{key}.whole.jpg", b""))}'
        f"<figcaption>{measured}</figcaption></div></article>"
    )


def _picture(dataset: Dataset, record: KeyframeRecord, small: bytes) -> str:
    if record.verdict == "kept":
        try:
            image = dataset.image(record)
        except DatasetError as error:
            return f'<p class="reason">{escape(str(error))}</p>'
        height = max(1, round(image.shape[0] * SHOWN_WIDTH / image.shape[1]))
        if image.shape[1] > SHOWN_WIDTH:
            image = resize(image, SHOWN_WIDTH, height)
        small = encode_jpeg(image, SHOWN_QUALITY)
    return f'<img loading="lazy" alt="" src="{_inline(small)}">' if small else ""


def _before(film: FilmRecord, record: KeyframeRecord, whole: bytes) -> str:
    """The whole frame, the picture inside its bars, and the crop."""
    border, crop = record.border, record.crop
    width = max(film.width, border.left + border.width, 1)
    height = max(film.height, border.top + border.height, 1)
    line = max(width, height) / 90
    image = (
        f'<image href="{_inline(whole)}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
        if whole
        else ""
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="the frame and its crop">{image}'
        f'<path d="M0 0H{width}V{height}H0Z{_hole(crop)}" fill="#000" fill-opacity=".5" fill-rule="evenodd"/>'
        f"{_outline(border, 'var(--border)', line, width, height)}"
        f"{_outline(crop, 'var(--crop)', line, width, height)}</svg>"
    )


def _hole(crop: Crop) -> str:
    return f"M{crop.left} {crop.top}h{crop.width}v{crop.height}h{-crop.width}Z"


def _outline(crop: Crop, colour: str, line: float, width: int, height: int) -> str:
    """A rectangle whose line stays inside the frame."""
    left, top = max(crop.left, line / 2), max(crop.top, line / 2)
    right = min(crop.left + crop.width, width - line / 2)
    bottom = min(crop.top + crop.height, height - line / 2)
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(0.0, right - left):.1f}"'
        f' height="{max(0.0, bottom - top):.1f}" fill="none" style="stroke:{colour}"'
        f' stroke-width="{line:.1f}"/>'
    )


def _files(records: list[FilmRecord]) -> str:
    if not records:
        return ""
    rows = "".join(
        f'<tr><td>{escape(r.name)}</td><td class="reason">{r.verdict}</td><td>{escape(r.reason)}</td></tr>'
        for r in records
    )
    return (
        "<section><h2>Files that gave no film</h2>"
        f"<table><tr><th>file</th><th>verdict</th><th>why</th></tr>{rows}</table></section>"
    )


def _inline(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _name(name: str) -> str:
    return f'<em class="name">{escape(name)}</em>'


def _tagged(caption: str) -> str:
    """A caption with its names marked."""
    return TAG.sub(lambda found: f'<em class="name">{found[1]}</em>', escape(caption))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
