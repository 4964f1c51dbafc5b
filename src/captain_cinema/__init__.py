"""Captain Cinema: a storyline in, a short film out (arXiv 2507.18634)."""

__version__ = "0.1.0"
