"""The memory's tables: SQLite in one file, or the schema `cache` of a PostgreSQL."""
