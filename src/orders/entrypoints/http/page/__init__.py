"""What people see: the page at /, the error pages, and the files that both are made of.

Served as HTML with every sentence in it; one script module fills in what it fetches from the API.
"""
