"""From one message to those that it causes: pages, gathers, answers."""
