"""Load: broker.yaml from its file, or from bytes, into settings."""

from pathlib import Path

from bridge.config.checks import check, plain
from bridge.config.document import MAX_BYTES, compose
from bridge.config.problems import ConfigError, Problem
from bridge.config.sections import Reader
from bridge.words.settings import Settings


def load(path: Path) -> Settings:
    """Read a configuration file. Raises ConfigError with all that is wrong, each with line and column."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), [Problem(0, 0, f"cannot be read: {error.strerror}")]) from None
    return parse(data, str(path))


def parse(data: bytes, file: str) -> Settings:
    """Read a configuration; `file` is its name in errors."""
    reader = Reader()
    settings = reader.read(Settings, compose(data, file))
    check(settings, reader)
    if reader.problems:
        raise ConfigError(file, reader.problems)
    return plain(settings)
