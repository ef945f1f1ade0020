"""Numbers: what facts add up to, by quarter hour (STT) and by agent day (CIM)."""
