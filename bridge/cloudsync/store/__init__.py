"""Store: raw events, records, facts and rows, on disk before anybody is told that they were taken."""
