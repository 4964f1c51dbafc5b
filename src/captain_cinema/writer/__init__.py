"""The offline writer: a story in words becomes a script, and the words stay the user's (design section 7).

It splits, finds the cast, and chooses framings and lengths. It never writes: every caption is a piece of the
story apart from white space and the tags around names.
"""

from captain_cinema.writer.story import read_story

__all__ = ["read_story"]
