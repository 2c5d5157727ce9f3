"""The HTTP API: each route decodes a request, calls one use case and encodes the result.

``app`` assembles the application and ``server`` runs it; the other modules are routes and
middleware.
"""
