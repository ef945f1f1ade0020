"""Records: what became of a record, folded from all that is known of it, as facts. Pure."""
