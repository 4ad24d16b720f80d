"""What the coordinator decides, as pure functions of the folded log."""
