"""The interleaved MM-DiT in the layouts of FLUX.1 and FLUX.2, and its weights (paper, section 3.2)."""
