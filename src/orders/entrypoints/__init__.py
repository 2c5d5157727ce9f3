"""How the world gets in: HTTP, the consumer, the command line. Decode, call one use case, encode."""
