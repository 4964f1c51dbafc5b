"""The `cinema` command."""


def main() -> None:
    """Run the command line."""
