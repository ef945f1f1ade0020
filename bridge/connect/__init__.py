"""Connect: the rules of the Connect API, from bytes to an admitted trigger. Pure."""
