"""Numbers of things in what commands print."""


def counted(number: int, noun: str) -> str:
    """The number with its noun, such as ``1 order`` or ``2,000 orders``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
