"""What PostgreSQL takes for text."""


def is_storable(text: str) -> bool:
    """Whether ``text`` is free of U+0000 and of lone surrogates."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
