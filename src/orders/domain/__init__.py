"""What an order is, what may be done with it, and what that needs of the outside (the ports).

Standard library and msgspec only; nothing here does any I/O.
"""
