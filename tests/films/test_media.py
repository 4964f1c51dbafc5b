"""What a film is by its header, what is no film, and that nothing in a name is interpreted."""

import errno
import hashlib
import os
from fractions import Fraction
from pathlib import Path

import pytest
from corpus import write_corpus
from corpus_case import Expected
from drawn import SIZE, write_film
from real_films import known_film, manifest
from spoiling import turn_header

from captain_cinema.films import opening
from captain_cinema.films.decode import Decoding, decode
from captain_cinema.films.media import MAX_PIXELS, MediaError, digest, find_films, probe, sample_aspect


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Expected]]:
    folder = tmp_path_factory.mktemp("corpus")
    return folder, write_corpus(folder)


def watch(path: Path) -> Decoding:
    frames, decoding = decode(path, probe(path))
    for frame in frames:
        frame.small(32)
    return decoding


def test_every_file_of_the_corpus_ends_as_it_must(corpus: tuple[Path, dict[str, Expected]]) -> None:
    folder, expected = corpus
    assert len(expected) >= 70
    wrong = {name: problem for name, what in expected.items() if (problem := differs(folder / name, what))}
    assert not wrong


def differs(path: Path, expected: Expected) -> str:
    """How a file ends otherwise than it must; empty if it does not."""
    try:
        decoding = watch(path)
    except MediaError as error:
        if "\n" in str(error) or error.verdict != expected.verdict or expected.says not in str(error):
            return f"{error.verdict}: {error}"
        return ""
    verdict = "ok" if decoding.complete else "partial"
    least, most = expected.frames
    if expected.verdict == "duplicate":  # told by its digest alone
        return "" if verdict == "ok" else f"{verdict}: {decoding.reason}"
    if verdict != expected.verdict or expected.says not in decoding.reason:
        return f"{verdict}: {decoding.reason}"
    if not least <= decoding.frames <= most:
        return f"{decoding.frames} frames"
    if expected.seconds is not None and abs(decoding.seconds - expected.seconds) > 0.01:
        return f"{decoding.seconds} s"
    if (probe(path).width, probe(path).height) != expected.size:
        return f"{probe(path).width} x {probe(path).height}"
    return "" if not expected.corrupt or decoding.corrupt else "no damage is counted"


def test_duplicates_of_the_corpus_have_the_digest_of_another(
    corpus: tuple[Path, dict[str, Expected]],
) -> None:
    folder, expected = corpus
    digests: dict[str, list[str]] = {}
    for name in sorted(expected, key=os.fsencode):
        if expected[name].verdict in ("ok", "partial", "duplicate"):
            digests.setdefault(digest(folder / name), []).append(expected[name].verdict)
    assert all(set(verdicts[1:]) <= {"duplicate"} for verdicts in digests.values())
    assert all(verdicts[0] != "duplicate" for verdicts in digests.values())


def test_digest_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "some.mp4"
    path.write_bytes(b"film" * 500_000)
    assert digest(path) == hashlib.sha256(b"film" * 500_000).hexdigest()


@pytest.mark.parametrize("name", sorted(manifest()))
def test_known_films_are_what_the_manifest_says(name: str) -> None:
    said, found = manifest()[name], probe(known_film(name))
    turned = (said["height"], said["width"]) if name == "video_90.mov" else (said["width"], said["height"])
    assert (found.width, found.height) == turned
    assert found.codec == said["codec"]
    assert found.fps == pytest.approx(float(Fraction(said["fps"])), rel=1e-3)
    assert found.sample_aspect == 1
    if said["duration"] is None:
        assert found.seconds is None
    else:
        assert found.seconds == pytest.approx(said["duration"], rel=0.03)
    assert found.bit_depth == (10 if "10bits" in name else 8)


def test_a_read_that_fails_is_an_error_not_a_rejection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "film.mp4", 1)

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(opening._Descriptor, "read", fail)
    with pytest.raises(MediaError, match="reading failed") as caught:
        probe(path)
    assert caught.value.verdict == "error"


def test_a_read_that_fails_later_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "film.mkv", 1, lengths=(200,), codec="ffv1")
    read, reads = opening._Descriptor.read, []

    def fail(self: opening._Descriptor, size: int) -> bytes:
        reads.append(size)
        if len(reads) > 4:
            raise OSError(errno.EIO, "Input/output error")
        return read(self, size)

    found = probe(path)
    monkeypatch.setattr(opening._Descriptor, "read", fail)
    frames, _ = decode(path, found)
    with pytest.raises(MediaError, match="reading failed") as caught:
        list(frames)
    assert caught.value.verdict == "error"


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "film.mp4", 1)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(opening.os, "open", refuse)
    for read in (probe, digest):
        with pytest.raises(MediaError, match="permission denied") as caught:
            read(path)
        assert caught.value.verdict == "error"


def test_probing_leaves_no_descriptor_open(tmp_path: Path) -> None:
    path, bad = write_film(tmp_path / "film.mp4", 1), tmp_path / "bad.mp4"
    bad.write_bytes(b"no film" * 100)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        probe(path)
        with pytest.raises(MediaError):
            probe(bad)
        frames, _ = decode(path, probe(path))
        next(frames)
        frames.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "film.mp4/inside.mp4", "nothing.mp4", "null\0.mp4"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    write_film(tmp_path / "film.mp4", 1)
    with pytest.raises(MediaError, match="no such file"):
        probe(tmp_path / name)


def test_the_largest_film_that_is_taken_is_twice_8k() -> None:
    assert MAX_PIXELS == 66_355_200


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (None, Fraction(1)),
        (Fraction(399, 400), Fraction(1)),
        (Fraction(16, 11), Fraction(16, 11)),
        (Fraction(1, 1000), Fraction(1)),
        (Fraction(64, 45), Fraction(64, 45)),
    ],
)
def test_shape_of_pixels(given: Fraction | None, taken: Fraction) -> None:
    assert sample_aspect(given) == taken


def test_finds_files_folders_and_patterns_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mkv", "notes.txt", "deep/er/c.webm", "deep/d.MOV", "[x].avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "deep" / "back").symlink_to(tmp_path)
    (tmp_path / "empty.mp4").mkdir()
    found = find_films([tmp_path, tmp_path / "*.mp4", tmp_path / "[x].avi", tmp_path / "notes.txt"])
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["[x].avi", "a.mkv", "b.mp4", "deep/d.MOV", "deep/er/c.webm", "empty.mp4", "notes.txt"]
    assert find_films([tmp_path / "gone.mp4", tmp_path / "*.flv"]) == [
        tmp_path / "*.flv",
        tmp_path / "gone.mp4",
    ]


def test_finds_ten_thousand_films(tmp_path: Path) -> None:
    for number in range(10_000):
        os.close(os.open(tmp_path / f"{number:05d}.mp4", os.O_CREAT | os.O_WRONLY))
    found = find_films([tmp_path])
    assert len(found) == 10_000
    assert found == sorted(found)


def test_a_mirrored_film_is_upright(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 3)
    plain = next(decode(path, probe(path))[0]).full()
    turn_header(path, (-1, 0, 0, 1))
    found = probe(path)
    assert (found.rotation, found.mirrored, found.width) == (0, True, SIZE[0])
    assert (next(decode(path, found)[0]).full() == plain[:, ::-1]).all()
