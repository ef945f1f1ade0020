"""Stories of events."""
