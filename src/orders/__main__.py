"""`python -m orders`: the same as the command `orders`."""

from orders.entrypoints.cli import main

if __name__ == "__main__":
    main()
