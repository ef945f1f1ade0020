"""Doors: what each path of the HTTP port does."""
