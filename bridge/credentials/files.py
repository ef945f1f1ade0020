"""Files: how the room keeps its files to itself, and makes each exactly once however many processes start."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path


def make_private(directory: Path) -> None:
    """Make the directory if need be, and close it to other users."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_to_others(directory)


def close_to_others(path: Path) -> None:
    """Take all rights from everybody but the owner (on Windows this does nothing: inherited rights decide)."""
    mode = path.stat().st_mode
    # A sticky directory such as /tmp belongs to everybody; a mounted volume may belong to somebody else.
    if mode & 0o077 and not mode & stat.S_ISVTX:
        with contextlib.suppress(PermissionError):
            path.chmod(stat.S_IMODE(mode) & 0o700)


@contextlib.contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path` that only its owner can read; what is left of it goes at the end."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write the content to disk, not only to the system's cache."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def publish_once(finished: Path, path: Path) -> None:
    """Give a finished draft its name, unless another process was first: then that one's file stays."""
    with contextlib.suppress(FileExistsError):
        os.link(finished, path)
