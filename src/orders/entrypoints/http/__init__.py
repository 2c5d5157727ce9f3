"""The HTTP API: decode a request, call one use case, encode what it says.

``app`` puts it together, ``server`` runs it; every other module is one route or one concern.
"""
