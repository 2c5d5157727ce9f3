"""What can be done with orders; one module a use case, one call each."""
