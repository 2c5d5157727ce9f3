"""What the client gets wrong on the wire: codecs and damaged or control record batches."""
