#!/usr/bin/env bash
# Train every part of the embedded preset and install the weights into the package.
#
#   runs/embedded.sh                 everything: on a CPU many hours; on a GPU, meant for half an hour
#   runs/embedded.sh keyframes       one part
#   MINUTES=60 runs/embedded.sh      an hour of each part, then stop; the same command goes on
#
# Every part keeps its checkpoint, loss curve and sample sheets in runs/out/<part> and goes on where it stopped.
# The VAE comes first: the latents of all other parts are its. Measures are printed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

CINEMA=${CINEMA:-.venv/bin/cinema}
OUT=${OUT:-runs/out}
if [ -z "${PRESET:-}" ]; then
  if command -v nvidia-smi > /dev/null; then PRESET=embedded-gpu; else PRESET=embedded; fi
fi
parts=("${@:-}")
[ -n "${parts[0]}" ] || parts=(vae retrieval keyframes shots)

for part in "${parts[@]}"; do
  echo "== $part"
  "$CINEMA" train "$part" --preset "$PRESET" --out "$OUT/$part" --install ${MINUTES:+--minutes "$MINUTES"}
done

echo "== measures"
"$CINEMA" evaluate identity --films "${FILMS:-20}"
"$CINEMA" evaluate motion --films "${FILMS:-20}"
