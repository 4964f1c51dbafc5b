from benchmarks import film
from benchmarks.hardware import hardware, peak_memory_gib


def test_variants_take_turns_after_a_warm_up() -> None:
    order: list[str] = []
    times = film.take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=2)
    assert order == ["a", "b"] * 3
    assert set(times) == {"a", "b"}


def test_a_result_says_where_and_when_it_was_made() -> None:
    told = hardware()
    assert told["processor"]
    assert told["cores"] >= 1
    assert told["date"][:2] == "20"
    assert 0.05 < peak_memory_gib() < 500
