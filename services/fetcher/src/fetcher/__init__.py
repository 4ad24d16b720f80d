"""Pulls slices from the two sources under the timeout chain."""
