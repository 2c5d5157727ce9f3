"""The files that pages are made of."""

from pathlib import Path

FILES = Path(__file__).with_name("files")
