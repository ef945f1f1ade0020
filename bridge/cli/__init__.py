"""The command line: every popbridge command."""
