"""Logs: what goes to stderr, as text or as one JSON object a line; never a credential, never a line per message."""

import logging
import sys
from typing import Literal

import msgspec

from bridge.words import times
from bridge.words.settings import Log

# Libraries that log a line per connection or message, with what the client sent in it.
_NOISY = ("transitions", "websockets", "aiohttp", "aiosqlite", "asyncio")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = f"{times.stamp(record.created)} {record.levelname:<7} {record.name}: {record.getMessage()}"
        line = line.replace("\n", "\\n").replace("\r", "\\r")
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": times.stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info is not None:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


_FORMATTERS: dict[Literal["text", "json"], type[logging.Formatter]] = {"text": _Text, "json": _Json}


def start(settings: Log) -> None:
    """Send the logs to stderr as broker.yaml says; may be called again after it was re-read."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[settings.format]())
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # what it raises, we say in our own words
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING if settings.level != "debug" else logging.INFO)
