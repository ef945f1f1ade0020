"""Stories of the numbers, told with facts and rows."""
