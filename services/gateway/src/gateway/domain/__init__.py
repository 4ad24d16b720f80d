"""What the gateway decides without I/O."""
