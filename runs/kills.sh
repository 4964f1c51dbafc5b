#!/usr/bin/env bash
# Twenty kills at random moments of `cinema make`, or of several workers that shoot, each followed by a re-run: are the final frames the same, bit for bit?
#
#   runs/kills.sh [STORY] [SHOTS] [KILLS] [OUT]      the example story, 12 shots, 20 kills, out/kills
#   WORKERS=2 runs/kills.sh                          kill `cinema shoot --workers 2` instead, on a finished storyboard
#
# Prints one line a kill and at the end whether every picture, clip and the film equal those of an undisturbed run.
set -euo pipefail
cd "$(dirname "$0")/.."

STORY=${1:-examples/lantern.md}
SHOTS=${2:-12}
KILLS=${3:-20}
OUT=${4:-out/kills}
CINEMA=${CINEMA:-.venv/bin/cinema}
WORKERS=${WORKERS:-1}

rm -rf "$OUT/whole" "$OUT/killed"
mkdir -p "$OUT"

digests() { (cd "$1" && find storyboard shots film.mp4 film.otio contact-sheet.png -type f ! -name '*.json' -exec sha256sum {} + | sort -k 2); }

# What comes before the kills, what is killed, and what comes after.
if [ "$WORKERS" -eq 1 ]; then
  work=(make "$STORY" --limit "$SHOTS" --project)
  begin() { :; }
  end() { :; }
else
  work=(shoot --limit "$SHOTS" --workers "$WORKERS")
  begin() {
    [ -d "$1/storyboard" ] && return
    "$CINEMA" write "$STORY" -o "$1"
    "$CINEMA" storyboard "$1" --limit "$SHOTS"
  }
  end() { "$CINEMA" cut "$1" --limit "$SHOTS"; }
fi
make_film() {
  begin "$1"
  "$CINEMA" "${work[@]}" "$1"
  end "$1"
}

begin "$OUT/whole" 2> "$OUT/whole.log" > /dev/null
began=$(date +%s)
make_film "$OUT/whole" 2>> "$OUT/whole.log" > /dev/null
lasts=$(($(date +%s) - began))
echo "undisturbed: $SHOTS shots in $lasts s"

killed=0
while [ "$killed" -lt "$KILLS" ]; do
  # Any moment of an undisturbed run; a film that is whole before its kill is compared, and begun once more.
  after=$(awk -v lasts="$lasts" -v dice="$RANDOM" 'BEGIN { print 0.5 + lasts * dice / 32768 }')
  status=0
  begin "$OUT/killed" 2>> "$OUT/killed.log" > /dev/null
  (timeout --signal=KILL "$after" "$CINEMA" "${work[@]}" "$OUT/killed"; exit $?) \
    2>> "$OUT/killed.log" > /dev/null || status=$?
  if [ "$status" -eq 137 ]; then
    killed=$((killed + 1))
    echo "kill $killed after $after s: $(ls "$OUT"/killed/storyboard/*.png 2> /dev/null | wc -l) keyframes," \
      "$(ls "$OUT"/killed/shots/*.mp4 2> /dev/null | wc -l) shots are there"
  elif [ "$status" -ne 0 ]; then
    echo "a run after a kill ended with $status; see $OUT/killed.log"
    exit 1
  elif ! end "$OUT/killed" 2>> "$OUT/killed.log" > /dev/null; then
    exit 1
  elif [ "$(digests "$OUT/whole")" != "$(digests "$OUT/killed")" ]; then
    break
  else
    rm -rf "$OUT/killed"
  fi
done
make_film "$OUT/killed" 2>> "$OUT/killed.log" > /dev/null

if diff <(digests "$OUT/whole") <(digests "$OUT/killed"); then
  echo "$killed kills: all $(digests "$OUT/whole" | wc -l) files are equal, bit for bit"
else
  echo "$killed kills: the files above differ"
  exit 1
fi
