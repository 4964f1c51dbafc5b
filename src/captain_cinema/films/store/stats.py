"""What a dataset holds, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captain_cinema.films.store.paths import ROOMS
from captain_cinema.films.store.reader import Dataset

TOP_CHARACTERS = 12


@dataclass(frozen=True, kw_only=True)
class DatasetStats:
    """Numbers of a dataset."""

    path: str
    films: int
    verdicts: dict[str, int]
    """Files by what became of them."""
    hours: float
    """Of film."""
    shots: int
    kept: int
    dropped: int
    reasons: dict[str, int]
    """Why keyframes were dropped, most frequent first; reasons in an annotator's own words count as one."""
    replaced: dict[str, int]
    """Keyframes that are not the frame the rule asks for, by why."""
    captions_missing: int
    names_left_out: int
    """Captions that named somebody outside the cast, who is left out."""
    characters: dict[str, int]
    """Kept keyframes that name a character, the most frequent ones."""
    all_characters: int
    shots_a_film: tuple[float, float, float]
    """Fewest, median, most shots of a film with a kept keyframe."""
    sizes: dict[str, int]
    """Kept keyframes by height."""
    annotators: dict[str, int]
    bytes: dict[str, int]
    """On disk, by room."""

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)

    def table(self) -> str:
        """For people."""
        low, middle, high = self.shots_a_film
        lines = [
            f"{self.path}: {self.films} films, {spoken_length(self.hours)}",
            f"  files       {_listed(self.verdicts)}",
            f"  shots       {self.shots}; a film has {low:g} to {high:g}, half of them at least {middle:g}",
            f"  keyframes   {self.kept} kept, {self.dropped} dropped",
        ]
        lines += [f"  dropped     {_listed(self.reasons)}"] if self.reasons else []
        lines += [f"  replaced    {_listed(self.replaced)}"] if self.replaced else []
        said = f"  captions    {self.kept - self.captions_missing}, {self.captions_missing} missing"
        if self.names_left_out:
            said += f"; {self.names_left_out} named somebody outside the cast, who is left out"
        lines.append(said)
        if self.characters:
            more = self.all_characters - len(self.characters)
            lines.append(f"  characters  {_listed(self.characters)}" + (f", {more} more" if more else ""))
        lines.append(f"  heights     {_listed(self.sizes)}")
        lines.append(f"  annotators  {_listed(self.annotators)}")
        lines.append(
            "  on disk     " + ", ".join(f"{name} {_size(n)}" for name, n in self.bytes.items() if n)
        )
        return "\n".join(lines)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def spoken_length(hours: float) -> str:
    """Hours, or minutes of less than one."""
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def reason_group(reason: str) -> str:
    """The kind of a reason, without what it is a duplicate of; an annotator's own words are one kind."""
    known = ("black", "flat", "blurred", "text", "duplicate", "transition", "corrupt")
    for word in known:
        if reason.startswith(word):
            return word
    return "annotator" if reason else "unsaid"


def stats(path: Path) -> DatasetStats:
    """Count what a dataset holds.

    Raises:
        DatasetError: no dataset, or one that cannot be opened.
    """
    dataset = Dataset(path)
    films = [(film.verdict, film.seconds, film.shots) for film in dataset.iter_films()]
    verdicts = Counter([verdict for verdict, _, _ in films])
    verdicts.update(record.verdict for record in dataset.files())
    reasons, replaced, characters = Counter[str](), Counter[str](), Counter[str]()
    left_out = 0
    heights, annotators = Counter[str](), Counter[str]()
    columns = ["verdict", "reason", "replaced", "characters", "height", "annotator"]
    for batch in dataset.table.select(columns).to_batches(max_chunksize=1 << 14):
        for row in batch.to_pylist():
            annotators[row["annotator"]] += 1
            if row["verdict"] != "kept":
                reasons[reason_group(row["reason"])] += 1
                continue
            heights[str(row["height"])] += 1
            left_out += bool(row["reason"])
            characters.update(set(row["characters"] or ()))
            if row["replaced"]:
                replaced[row["replaced"]] += 1
    lengths = dataset.shot_counts()
    lengths = lengths[lengths > 0]
    found = (lengths.min(), np.median(lengths), lengths.max()) if len(lengths) else (0, 0, 0)
    low, middle, high = (float(value) for value in found)
    result = DatasetStats(
        path=str(path),
        films=len(films),
        verdicts=_ordered(verdicts),
        hours=sum(seconds for _, seconds, _ in films) / 3600,
        shots=sum(shots for _, _, shots in films),
        kept=len(dataset),
        dropped=len(dataset.table) - len(dataset),
        reasons=_ordered(reasons),
        replaced=_ordered(replaced),
        captions_missing=dataset.without_caption(),
        names_left_out=left_out,
        characters=dict(characters.most_common(TOP_CHARACTERS)),
        all_characters=len(characters),
        shots_a_film=(low, middle, high),
        sizes=_ordered(heights),
        annotators=_ordered(annotators),
        bytes={room: _folder_bytes(path / room) for room in (*ROOMS, "cache")},
    )
    dataset.close()
    return result


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _folder_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
