"""Target: what a request line asks for, in origin-form or, as proxies send it, as a whole URL (RFC 9112, 3.2)."""

from aiohttp import web


def path_of(request: web.BaseRequest) -> str:
    """Give the path as it came, percent-encoding included."""
    path = request.raw_path.partition("?")[0]
    if not path.startswith("/"):
        _, separator, rest = path.partition("://")
        if separator:
            return "/" + rest.partition("/")[2]
    return path
