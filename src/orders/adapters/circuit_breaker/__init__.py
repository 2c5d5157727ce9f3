"""Protection from a cache that is slow or away, whichever cache it is."""
