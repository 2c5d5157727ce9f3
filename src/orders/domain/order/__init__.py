"""The order: its model, its rules, its canonical document and the queries for it."""
