"""Identity, scenes and motion over 8 to 48 shots: ours, without cross-shot attention, and two baselines.

    python runs/coherence.py                          4 films of each length, all shots judged: hours on a CPU
    python runs/coherence.py --films 1 --judged 6     one film of each length, its last six shots
    python runs/coherence.py --output out.json        every single judgement besides the table

Films are held-out playhouse films: no name, look or place of theirs was trained on. The table is the
paper's Table 1 and figure 9 at small size; what the baselines are here is in docs/shots.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from captain_cinema import presets
from captain_cinema.evaluate import coherence


def main() -> int:
    """Measure and print."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--films", type=int, default=4, help="films of each length")
    words.add_argument("--lengths", type=int, nargs="+", default=list(coherence.LENGTHS), help="shots a film")
    words.add_argument("--judged", type=int, default=0, help="shots judged a film, the last ones; 0 for all")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--device", default="cpu")
    words.add_argument("--weights", type=Path, help="other weights than the package's")
    words.add_argument("--output", type=Path, help="a JSON file for every judgement")
    asked = words.parse_args()
    backend = presets.load_backend("embedded", device=asked.device, weights=asked.weights)
    revision = presets.describe("embedded").revision if asked.weights is None else str(asked.weights)
    result = coherence.run(
        backend,
        films=asked.films,
        seed=asked.seed,
        lengths=asked.lengths,
        judged=asked.judged,
        progress=lambda what: print(what, file=sys.stderr, flush=True),
    )
    print(f"weights: {revision}\n{result.table()}")
    if asked.output is not None:
        asked.output.write_text(json.dumps(result.as_dict(), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
