"""What the judge keeps in SQL: feedback, opinions of the model, and what they cost."""
