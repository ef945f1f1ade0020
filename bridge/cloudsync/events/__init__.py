"""Events: what a CRM's messages say of its records, in one spelling. Pure."""
