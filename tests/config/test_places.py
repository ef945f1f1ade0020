"""Stories about where broker.yaml is looked for."""

from pathlib import Path

import pytest

from bridge import config


def test_the_named_file_wins(tmp_path: Path) -> None:
    named, inside = tmp_path / "mine.yaml", tmp_path / "broker.yaml"
    named.touch()
    inside.touch()
    assert config.find(tmp_path, named) == named


def test_then_the_one_in_the_data_directory_then_the_one_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broker.yaml").touch()
    assert config.find(data, None) == Path("broker.yaml")
    (data / "broker.yaml").touch()
    assert config.find(data, None) == data / "broker.yaml"


def test_where_there_is_none_the_places_and_the_demo_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(config.ConfigError) as caught:
        config.find(Path("popbridge-data"), None)
    said = str(caught.value)
    assert "./popbridge-data/broker.yaml" in said
    assert "./broker.yaml" in said
    assert "--config FILE" in said
    assert "popbridge demo" in said


def test_a_named_file_that_is_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    (tmp_path / "broker.yaml").touch()
    with pytest.raises(config.ConfigError, match=r"missing\.yaml: there is no such file"):
        config.find(tmp_path, tmp_path / "missing.yaml")
