"""How Alembic reaches the database: over the connection that it is handed, inside that connection's transaction."""

from alembic import context

from gateway.adapters.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
