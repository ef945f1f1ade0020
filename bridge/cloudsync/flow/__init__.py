"""Flow: from what arrives to what is asked: ingest, process, compute, answer."""
