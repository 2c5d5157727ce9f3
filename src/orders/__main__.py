"""`python -m orders`: the same as the command `orders`."""

from orders.entrypoints.cli.main import run

if __name__ == "__main__":
    run()
