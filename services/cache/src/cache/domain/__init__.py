"""What the memory knows without asking anyone: freshness, the ledger's transitions, amendments, batches, gathering."""
