"""What the gateway itself keeps: keys, promises of idempotency, saved searches, triage."""
