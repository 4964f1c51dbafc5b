"""Top-down keyframe planning (paper, section 3.2): which earlier frames are seen, how large, and the
drawing."""
