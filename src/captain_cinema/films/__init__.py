"""Section 3.1: films in, an interleaved dataset of keyframes and captions out."""
