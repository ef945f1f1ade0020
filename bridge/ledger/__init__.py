"""The ledger: every pop and what became of it, on disk before the caller is answered."""
