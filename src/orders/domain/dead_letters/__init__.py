"""Dead letters: their headers, their index, and how they are shown without personal data."""
