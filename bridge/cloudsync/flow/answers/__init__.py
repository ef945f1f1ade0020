"""Answers: what is asked of the rows, and the rows as they are told."""
