"""Removes, in a copy, each line that the guarantee rests on, and runs the test that must fail."""
