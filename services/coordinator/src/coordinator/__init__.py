"""One search from request to end."""
