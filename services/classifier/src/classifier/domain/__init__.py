"""The pure centre: text, engine, relevance, filters, viability."""
