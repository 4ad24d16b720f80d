"""Alembic's own frame: services bring only their revisions."""
