"""How the world gets in: HTTP, consumer, command line. Decode, call one use case, encode."""
