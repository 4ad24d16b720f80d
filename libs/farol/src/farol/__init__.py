"""Farol's command line and one-machine supervisor."""
