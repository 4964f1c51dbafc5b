"""Section 4: how long a film stays coherent, measured on playhouse films, of which the truth is known.

`identity` asks whether a character is still itself where the caption gives only its name, `motion` whether it
goes where the caption says, `recognition` what can be told from frames and clips alone. `judge` and `track`
look at pictures without any learnt model; `shares` does the counting.
"""
