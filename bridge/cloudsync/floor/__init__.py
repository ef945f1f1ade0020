"""Floor: who waits, who works, who is there, now."""
