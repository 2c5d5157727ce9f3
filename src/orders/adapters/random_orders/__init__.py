"""Made-up orders."""
