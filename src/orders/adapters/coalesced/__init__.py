"""Look-ups that wait at the same time become one question."""
