"""Numbers of things in what commands print."""


def counted(number: int, noun: str) -> str:
    """The number with its noun, such as ``1 order`` or ``2 orders``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
