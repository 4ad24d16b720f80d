"""Judges relevance and viability: rules first, evidence always."""
