"""From the bytes of a message to valid orders, and to what is wrong with the rest."""
