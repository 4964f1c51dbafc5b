"""Tuning a pretrained keyframe model on interleaved films (paper, section 3.2 and appendix A)."""
