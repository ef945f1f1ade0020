"""House: where a command finds its data directory and configuration; what every command has in common."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from bridge.words.settings import Settings

MISCONFIGURED = 3


class House:
    """The object that click passes to every command. What costs an import is loaded when asked for."""

    def __init__(self) -> None:
        self.data = Path("popbridge-data")
        self.config: Path | None = None

    def config_path(self) -> Path:
        """Find broker.yaml: `--config`, else in the data directory, else here; exit 3 where there is none."""
        from bridge.config import ConfigError, find  # noqa: PLC0415 - `--help` must not pay for YAML

        try:
            return find(self.data, self.config)
        except ConfigError as error:
            refuse(str(error))

    def settings(self) -> "Settings":
        """Read broker.yaml; exit 3 with file, line, column and the nearest name where it is wrong."""
        from bridge.config import ConfigError, load  # noqa: PLC0415 - `--help` must not pay for YAML

        try:
            return load(self.config_path())
        except ConfigError as error:
            refuse(str(error))

    def customer(self, name: str) -> str:
        """See that a customer is in broker.yaml; exit 3 with the nearest where it is not."""
        from bridge.connect.nearest import nearest  # noqa: PLC0415 - the same

        known = self.settings().customers
        if name not in known:
            meant = nearest(name, known)
            hint = f"; did you mean {meant!r}?" if meant else "."
            refuse(f"There is no customer {name!r} in {self.config_path()}{hint}")
        return name


def refuse(sentence: str) -> NoReturn:
    """Say on stderr what is wrong and exit 3."""
    click.echo(sentence, err=True)
    sys.exit(MISCONFIGURED)


def _data(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(House).data = value


def _config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(House).config = value


def _options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--data"],
            type=click.Path(file_okay=False, path_type=Path),
            callback=_data,
            expose_value=False,
            is_eager=True,
            help="Data directory (default: ./popbridge-data).",
        ),
        click.Option(
            ["--config"],
            type=click.Path(dir_okay=False, path_type=Path),
            callback=_config,
            expose_value=False,
            is_eager=True,
            help="Configuration (default: DIR/broker.yaml, then ./broker.yaml).",
        ),
    ]


def furnish(command: click.Command) -> click.Command:
    """Give a command, and every one below it, the options `--data` and `--config`."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            furnish(below)
    elif not any(option.name == "data" for option in command.params):
        command.params.extend(_options())
    return command


class LazyGroup(click.Group):
    """A group whose commands are imported when one of them is called."""

    def __init__(self, *args: Any, rooms: dict[str, tuple[str, Callable[[], click.Command]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rooms = rooms

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names, without importing anything."""
        del ctx
        return list(self._rooms)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        room = self._rooms.get(cmd_name)
        return None if room is None else furnish(room[1]())

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help`, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (sentence, _) in self._rooms.items()])
