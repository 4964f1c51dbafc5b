"""Training takes a dataset's films through the very interface that it takes the playhouse's through."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from resuming import train_twice
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec, embedded_vae, load_vae
from captain_cinema.backbone.mmdit import MMDiT
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.errors import CinemaError
from captain_cinema.films.records import Crop, FilmRecord, KeyframeRecord, Picture
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.store.writer import FilmWriter, create_dataset
from captain_cinema.keyframes.goldenmem import shrink
from captain_cinema.playhouse import render, story
from captain_cinema.train import previews
from captain_cinema.train.binding import UNKNOWN
from captain_cinema.train.dataset_source import DatasetSource, Encoders, open_source
from captain_cinema.train.film_pool import Pool, draw_film, film_seed
from captain_cinema.train.keyframes import KeyframeTask
from captain_cinema.train.presets import TRAINING, embedded_mmdit
from captain_cinema.train.run import main_train
from captain_cinema.train.seeds import step_rng
from captain_cinema.train.sequences import Layout, sequence_indices
from captain_cinema.train.stride import film_sequences, valid_sequences
from captain_cinema.train.tensor_cache import TensorCache, weights_digest

SHOTS = 10
DEBUG = TRAINING["debug"].keyframe_training


def write_playhouse(path: Path, films: Sequence[int], *, shots: int = SHOTS, captions: bool = True) -> Path:
    """Playhouse films as `cinema dataset build` stores them: JPEG keyframes, captions, nothing else known."""
    create_dataset(path, FilmSettings())
    whole = Crop(left=0, top=0, width=320, height=160)
    for seed in films:
        made = story.film(seed, shots=shots)
        film = FilmRecord(
            id=f"{seed:016x}",
            name=f"{seed}.mp4",
            path=f"/{seed}.mp4",
            digest="",
            size=1,
            verdict="ok",
            caption=made.caption,
        )
        with FilmWriter(path, film, FilmSettings()) as writer:
            for number, shot in enumerate(made.shots, start=1):
                image = render.draw(shot.state, height=160)
                picture = Picture(
                    shot=number,
                    role="middle",
                    frame=number,
                    seconds=0,
                    border=whole,
                    crop=whole,
                    image=image,
                )
                record = KeyframeRecord(
                    film=film.id,
                    shot=number,
                    role="middle",
                    frame=number,
                    seconds=0,
                    start=0,
                    end=0,
                    border=whole,
                    crop=whole,
                    width=320,
                    height=160,
                    verdict="kept",
                    caption=shot.caption if captions else "",
                )
                writer.add(picture, record)
            writer.finish(film)
    return path


class CountingCodec(FrameCodec):
    """Knows how many frames it encoded."""

    encoded = 0

    def encode(self, frames: Tensor) -> Tensor:
        self.encoded += len(frames)
        return super().encode(frames)


@lru_cache
def vae():
    torch.manual_seed(0)
    return embedded_vae()


def codec() -> CountingCodec:
    return CountingCodec(vae())


@pytest.fixture(scope="module")
def text() -> PhraseEncoder:
    return PhraseEncoder()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_playhouse(tmp_path_factory.mktemp("source") / "data", (1, 2, 3))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    vae().save_pretrained(folder / "vae")
    return folder


def task_of(text: PhraseEncoder, source: DatasetSource | None = None) -> KeyframeTask:
    model = MMDiT(embedded_mmdit())
    return KeyframeTask(model, codec(), text, DEBUG, steps=4, seed=5, source=source)


def source_of(path: Path, text: PhraseEncoder, using: FrameCodec | None = None) -> DatasetSource:
    return open_source(path, using or codec(), text, height=DEBUG.height, txt_len=DEBUG.txt_len)


def test_the_playhouse_gives_the_batches_it_always_gave(text: PhraseEncoder) -> None:
    """Written out by hand, since runs that began before this interface go on under it."""
    task = task_of(text)
    for step in (0, 2, 3):
        stage = task.stage(step)
        layout, rng = stage.layouts[step % len(stage.layouts)], step_rng(5, 1, step)

        def draw(number: int, casts: tuple[int, ...] = stage.casts):
            cast = casts[number % len(casts)]
            scales = task.scales
            return draw_film(film_seed(5, number), shots=DEBUG.shots, cast=cast, height=128, scales=scales)

        pool = Pool(draw, task.encode, size=DEBUG.pool, period=DEBUG.period)
        slots = rng.choice(pool.size, size=stage.batch, replace=stage.batch > pool.size)
        films = [pool.get(int(slot), step) for slot in slots]
        chosen = [sequence_indices(f.film, layout, rng, recall=DEBUG.recall) for f in films]
        rows = (*layout.scales, *(4,) * layout.targets)
        batch = task.batch(step)
        for place, scale in enumerate(rows):
            wanted = [f.tokens[scale][c[place]] for f, c in zip(films, chosen, strict=True)]
            assert torch.equal(batch.tokens[place], torch.stack(wanted))
        pairs = list(zip(films, chosen, strict=True))
        given = len(layout.scales)
        assert torch.equal(batch.txt, torch.stack([f.txt[list(c)] for f, c in pairs]))
        assert torch.equal(batch.figures, torch.stack([f.figures[list(c[given:])] for f, c in pairs]))
        assert torch.equal(batch.looks, torch.stack([f.looks[list(c)] for f, c in pairs]))


def test_a_dataset_film_is_read_as_the_playhouse_film_that_it_was(dataset: Path, text: PhraseEncoder) -> None:
    source = source_of(dataset, text)
    film = next(f for f in source.samples(3) if f.film.shots[0].names)
    opened = Dataset(dataset)
    keyframes = next(k for k in opened.stream() if k.captions == tuple(s.caption for s in film.film.shots))
    made = story.film(int(keyframes.id, 16), shots=SHOTS)
    # A caption may mention them in another order than they stand in.
    assert [sorted(s.names) for s in film.film.shots] == [
        sorted({name.casefold() for name in s.names}) for s in made.shots
    ]
    seen = film.sequence([0, 4, 7], [2, 4, 4])
    plain = codec()
    for place, (index, rows) in enumerate(((0, 2), (4, 4), (7, 4))):
        frame = keyframes.frame(index, 128)
        drawn = [render.draw(shot.state, height=128) for shot in made.shots]
        off = [np.abs(frame.astype(int) - other).mean() for other in drawn]
        assert off[index] < 5  # the film is compressed, which costs three figures in snow most
        assert all(off[index] < 0.5 * other for i, other in enumerate(off) if i != index)
        wanted = plain.encode(torch.from_numpy(shrink(frame, rows))[None])[0]
        assert torch.equal(seen.tokens[place], wanted)
    captions = [made.shots[i].caption for i in (0, 4, 7)]
    assert torch.equal(seen.txt, text.encode(captions, length=DEBUG.txt_len))
    assert seen.figures.shape == (3, 32)
    assert not seen.figures.any()
    assert (seen.looks == UNKNOWN).all()


def test_batches_are_a_function_of_the_step(dataset: Path, text: PhraseEncoder) -> None:
    one, other = (task_of(text, source_of(dataset, text)) for _ in range(2))
    other.batch(0)
    for step in (3, 2):
        a, b = one.batch(step), other.batch(step)
        assert a.rows == b.rows == (2, 4, 4, 4)
        assert torch.equal(a.txt, b.txt)
        assert all(torch.equal(x, y) for x, y in zip(a.tokens, b.tokens, strict=True))
    assert not torch.equal(one.batch(2).txt, one.batch(3).txt)


def test_no_frame_and_no_caption_is_encoded_twice(tmp_path: Path, text: PhraseEncoder) -> None:
    path = write_playhouse(tmp_path / "data", (4,), shots=4)
    first = codec()
    source = source_of(path, text, first)
    film = source.samples(1)[0]
    before = film.sequence([0, 1, 2, 3], [4, 4, 2, 4])
    film.sequence([1, 0, 3], [4, 4, 4])
    assert first.encoded == 4
    assert source.encoders.latents is not None
    assert source.encoders.captions is not None
    source.encoders.latents.flush()
    source.encoders.captions.flush()
    second = codec()
    again = source_of(path, PhraseEncoder(), second)
    after = again.samples(1)[0].sequence([0, 1, 2, 3], [4, 4, 2, 4])
    assert second.encoded == 0
    assert not again.encoders.text._cache
    assert torch.equal(before.txt, after.txt)
    assert all(torch.equal(a, b) for a, b in zip(before.tokens, after.tokens, strict=True))


def test_other_weights_have_a_cache_of_their_own(tmp_path: Path, text: PhraseEncoder) -> None:
    path = write_playhouse(tmp_path / "data", (4,), shots=2)
    tokens = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        source = source_of(path, text, FrameCodec(embedded_vae()))
        tokens.append(source.samples(1)[0].sequence([0], [4]).tokens[0])
        assert source.encoders.latents is not None
        source.encoders.latents.flush()
    assert not torch.equal(*tokens)
    assert len(list((path / "cache" / "latents").iterdir())) == 2


def test_what_is_kept_follows_the_content_of_a_frame(tmp_path: Path, text: PhraseEncoder) -> None:
    path = write_playhouse(tmp_path / "data", (4,), shots=2)
    before = source_of(path, text).samples(1)[0].sequence([0], [4]).tokens[0]
    other = write_playhouse(tmp_path / "other", (5,), shots=2)
    encoders = Encoders(codec(), text, height=128, txt_len=16, folder=path / "cache")
    after = DatasetSource(Dataset(other), encoders).samples(1)[0].sequence([0], [4]).tokens[0]
    assert not torch.equal(before, after)


def test_sequences_of_a_dataset_obey_the_one_rule_of_overlap(tmp_path: Path, text: PhraseEncoder) -> None:
    path = write_playhouse(tmp_path / "data", (6,), shots=24, captions=False)
    film = source_of(path, text).samples(1)[0].film
    layout, rng = Layout(scales=(2, 4, 4, 4), targets=4), np.random.default_rng(0)
    found = {sequence_indices(film, layout, rng, recall=0.0) for _ in range(60)}
    assert len(found) > 2
    assert all(len(set(a) & set(b)) <= 2 for a, b in combinations(found, 2))


def test_the_playhouse_keeps_its_sequences_and_long_films_get_more() -> None:
    for length, pairs in ((8, 4), (16, 8), (64, 12)):
        alone = valid_sequences(length, pairs, np.random.default_rng([7, pairs]))
        assert list(film_sequences(7, length, pairs)) == alone
    assert len(film_sequences(7, 400, 8)) > 200


def test_longer_films_come_as_much_more_often_and_short_ones_never(
    tmp_path: Path, text: PhraseEncoder
) -> None:
    path = tmp_path / "data"
    for seed, shots in ((1, 4), (2, 12), (3, 36)):
        write_playhouse(path, (seed,), shots=shots, captions=False)
    source = source_of(path, text)
    films = source.films(0, 2000, pairs=8, casts=(1,), rng=np.random.default_rng(0))
    lengths = [len(film.film.shots) for film in films]
    assert set(lengths) == {12, 36}
    assert lengths.count(36) / lengths.count(12) == pytest.approx(3, rel=0.2)
    with pytest.raises(CinemaError, match=r"longest film in .* has 36 shots .* sequences of 40"):
        source.films(0, 1, pairs=40, casts=(1,), rng=np.random.default_rng(0))


def test_a_run_on_a_dataset_trains_and_resumes_identically(
    dataset: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = partial(previews.next_keyframes, steps=2)
    monkeypatch.setattr(previews, "next_keyframes", quick)
    train_twice("keyframes", tmp_path, weights=weights, dataset=dataset)


def test_what_cannot_be_trained_on_is_one_line(
    dataset: Path, weights: Path, text: PhraseEncoder, tmp_path: Path
) -> None:
    with pytest.raises(CinemaError, match="--dataset feeds the keyframe model, not shots"):
        main_train("shots", out=tmp_path, preset="debug", weights=weights, dataset=dataset)
    with pytest.raises(CinemaError, match="there is no dataset in"):
        source_of(tmp_path / "nowhere", text)
    with pytest.raises(CinemaError, match="has no keyframes"):
        source_of(write_playhouse(tmp_path / "empty", ()), text)


def test_missing_captions_are_told(
    tmp_path: Path, text: PhraseEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    source = source_of(write_playhouse(tmp_path / "data", (1,), shots=3, captions=False), text)
    assert "3 of 3 keyframes have no caption" in caplog.text
    assert not source.samples(1)[0].sequence([0], [4]).txt.any()


class TestCache:
    """`tensor_cache`: bounded, atomic, never needed."""

    def test_tensors_come_back_in_another_process_of_the_same_weights(self, tmp_path: Path) -> None:
        cache = TensorCache(tmp_path / "cache", limit=1 << 20)
        made = {f"{i}": torch.randn(3, 5, dtype=torch.float32) for i in range(4)}
        for name, tensor in made.items():
            cache.put(name, tensor)
        assert torch.equal(cache.get("2"), made["2"])
        cache.flush()
        again = TensorCache(tmp_path / "cache", limit=1 << 20)
        assert len(again) == 4
        assert all(torch.equal(again.get(name), tensor) for name, tensor in made.items())
        assert again.get("5") is None
        assert (again.hits, again.misses) == (4, 1)

    def test_what_waits_is_written_when_the_cache_goes(self, tmp_path: Path) -> None:
        cache = TensorCache(tmp_path, limit=1 << 20)
        cache.put("one", torch.ones(3))
        del cache
        assert TensorCache(tmp_path, limit=1 << 20).get("one") is not None

    def test_it_stays_within_its_limit_and_drops_what_was_used_longest_ago(self, tmp_path: Path) -> None:
        cache = TensorCache(tmp_path, limit=20_000, segment_bytes=4000)
        for number in range(10):
            cache.put(str(number), torch.full((1000,), float(number)))
        sizes = [path.stat().st_size for path in tmp_path.iterdir()]
        assert sum(sizes) <= 20_000
        assert len(sizes) == 4
        assert TensorCache(tmp_path, limit=20_000).get("9") is not None
        assert TensorCache(tmp_path, limit=20_000).get("0") is None

    def test_damaged_segments_and_leftovers_do_not_count(self, tmp_path: Path) -> None:
        cache = TensorCache(tmp_path, limit=1 << 20)
        cache.put("one", torch.ones(3))
        cache.flush()
        (tmp_path / "0123.safetensors").write_bytes(b"cut off")
        (tmp_path / ".4567.1.part").write_bytes(b"half")
        again = TensorCache(tmp_path, limit=1 << 20)
        assert len(again) == 1
        assert not (tmp_path / "0123.safetensors").exists()

    def test_a_disk_that_refuses_costs_speed_only(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        cache = TensorCache(tmp_path / "file" / "cache", limit=1 << 20, segment_bytes=1)
        for name in "abc":
            cache.put(name, torch.ones(3))
        assert caplog.text.count("nothing more is cached") == 1
        assert cache.get("a") is None

    def test_the_digest_is_of_names_values_and_settings(self, weights: Path) -> None:
        layer = torch.nn.Linear(2, 2)
        before = weights_digest(layer, 1.0)
        assert weights_digest(layer, 1.0) == before
        assert weights_digest(layer, 2.0) != before
        with torch.no_grad():
            layer.bias[0] += 1e-3
        assert weights_digest(layer, 1.0) != before
        assert weights_digest(load_vae(weights / "vae")) == weights_digest(vae())
