"""Fault drills: the product on real servers that fail, and a count of what became of each order.

`make drill` runs all of them at length, `make test` a shorter set. Each drill does its harm while
orders flow; then everything is up again, and the audit holds what was sent against what is stored
and what lies in the dead letters.
"""
