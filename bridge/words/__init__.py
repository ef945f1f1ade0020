"""Words: what every room of the house talks about. No I/O, no rules."""
