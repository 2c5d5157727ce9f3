"""The folder with the files of the pages."""

from pathlib import Path

FILES = Path(__file__).with_name("files")
