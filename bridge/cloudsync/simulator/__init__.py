"""Simulator: a seeded CloudSync: a contact centre's events, its REST and token endpoints, and the ground truth."""
