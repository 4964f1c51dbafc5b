"""Rectified flow: the path from frames to noise, its noise levels, and the way back (section 3.2)."""
