"""Places: where broker.yaml is looked for, and the one that `popbridge demo` writes."""

from importlib.resources import files
from pathlib import Path

from bridge.config.problems import ConfigError, Problem

NAME = "broker.yaml"


def find(data: Path, config: Path | None) -> Path:
    """Choose the configuration: `config` where it is given, else that of the data directory, else the current one's.

    Raises ConfigError where there is none, naming the places.
    """
    if config is not None:
        if not config.is_file():
            raise ConfigError(str(config), [Problem(0, 0, "there is no such file (given by --config)")])
        return config
    places = [data / NAME, Path(NAME)]
    for place in places:
        if place.is_file():
            return place
    looked = " nor ".join(str(place) if place.is_absolute() else f"./{place}" for place in dict.fromkeys(places))
    text = f"neither {looked} exists; write one, name one with --config FILE, or try `popbridge demo`, which makes one"
    raise ConfigError(NAME, [Problem(0, 0, text)])


def demo_text() -> str:
    """Give the configuration that `popbridge demo` writes."""
    return files(__package__).joinpath("demo.yaml").read_text(encoding="utf-8")
