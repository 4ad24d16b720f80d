"""What reaches outside: the catalogue's files."""
