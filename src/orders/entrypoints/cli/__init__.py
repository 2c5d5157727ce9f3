"""The command line: `orders` and its commands."""
