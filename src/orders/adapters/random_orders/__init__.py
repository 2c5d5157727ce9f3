"""Generates random orders."""
