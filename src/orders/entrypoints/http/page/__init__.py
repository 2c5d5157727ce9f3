"""The page at / and the error pages.

The HTML is complete with all its texts; one script adds what it fetches from the API.
"""
