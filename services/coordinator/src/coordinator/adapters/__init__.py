"""The coordinator's outside: the log of a search on the bus."""
