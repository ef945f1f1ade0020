"""popbridge: the right screen in front of an agent when the telephone rings, and knowing that it got there."""

__version__ = "0.1.0"
