"""Mapping: what users, groups and statuses are called and mean: from broker.yaml, from events, and asked of the CRM."""
