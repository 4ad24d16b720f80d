"""SQL for the services that keep something: one database class, two engines, one way of migrating."""
