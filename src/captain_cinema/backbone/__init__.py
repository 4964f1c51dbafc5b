"""The interleaved MM-DiT in the FLUX.2 layout, and its weights (paper, section 3.2)."""
