"""The HTTP routes: parse, ask a port, answer."""
