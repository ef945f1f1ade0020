"""Stories of records."""
