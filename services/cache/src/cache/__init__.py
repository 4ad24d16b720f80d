"""The memory: bids and their history, the ledger, single flight, answers."""
