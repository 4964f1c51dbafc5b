"""The exceptions that the command line turns into one clear line.

A :class:`CinemaError` is the user's to mend: its message says what is wrong and what would help. Everything
else that is raised is a bug and keeps its traceback.
"""


class CinemaError(Exception):
    """Something the user can mend; the message is one line, exit code 2."""


class StoryError(CinemaError):
    """A story or script that cannot be read."""


class ProjectError(CinemaError):
    """A film folder that is damaged, busy, not ours, or cannot be written."""


class WeightsError(CinemaError):
    """Weights that are missing, damaged or of another layout."""


class AbilityError(CinemaError):
    """A backend is asked for more than it declares; the message names what would work."""
