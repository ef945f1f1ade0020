"""SSE: events of a text/event-stream. Data is one line of JSON."""


def event(name: str, data: bytes, seq: int | None = None) -> bytes:
    """Spell an event; with `seq`, a client that comes back tells it as Last-Event-ID."""
    numbered = b"" if seq is None else b"id: %d\n" % seq
    return b"%sevent: %s\ndata: %s\n\n" % (numbered, name.encode(), data)


def retry(milliseconds: int) -> bytes:
    """Say when to come back after the connection was lost."""
    return b"retry: %d\n\n" % milliseconds


def last_seen(header: str | None) -> int | None:
    """Read a Last-Event-ID; None if there is none that we gave."""
    if header is None or not header.isascii() or not header.isdigit() or len(header) > 18:
        return None
    return int(header)
