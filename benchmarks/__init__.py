"""Speed, measured on the machine at hand: `python -m benchmarks.NAME` writes into benchmarks/results."""
