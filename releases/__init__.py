"""Tells what a release would publish, and tries its wheel. Publishes nothing."""
