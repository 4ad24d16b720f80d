"""Summary and spreadsheet as background jobs."""
