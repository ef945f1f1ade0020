"""Stories of CloudSync."""
