"""The consumer behind the message source: its thread, its offsets and its commits."""
