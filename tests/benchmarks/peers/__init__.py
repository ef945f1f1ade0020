"""Peers: what a user would build or take instead of popbridge, each as its documentation advises."""
