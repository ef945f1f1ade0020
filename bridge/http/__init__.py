"""HTTP: the doors on the one HTTP port. The only room that knows aiohttp's server."""
