"""Delivery: what becomes of a pop, from its publication to its outcome."""
