"""What every Farol service stands on: bus, deadlines, settings, logs, health, test fixtures."""
