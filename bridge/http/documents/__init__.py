"""Documents: the API and the topics, described from the types that spell them."""
