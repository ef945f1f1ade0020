"""Config: broker.yaml, read into typed settings. The only room that knows YAML."""

from bridge.config.load import load, parse
from bridge.config.places import demo_text, find
from bridge.config.problems import ConfigError, Problem

__all__ = ["ConfigError", "Problem", "demo_text", "find", "load", "parse"]
