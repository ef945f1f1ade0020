"""The nearest name: what was probably meant, and the kind of difference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.connect.nearest import difference, nearest


@pytest.mark.parametrize(
    ("given_", "meant", "kind"),
    [
        ("on ring", "On Ring", "case"),
        ("ON RING", "On Ring", "case"),
        ("OnRing", "On Ring", "spaces"),
        (" On  Ring ", "On Ring", "spaces"),
        ("onring", "On Ring", "case and spaces"),
        ("On Rings", "On Ring", "letters"),
        ("On Answr", "On Answer", "letters"),
    ],
)
def test_the_nearest_name_and_how_it_differs(given_: str, meant: str, kind: str) -> None:
    assert nearest(given_, ["On Ring", "On Answer"]) == meant
    assert difference(given_, meant) == kind


def test_where_nothing_is_alike_there_is_none() -> None:
    assert nearest("zzz", ["On Ring"]) is None
    assert nearest("anything", []) is None


def test_the_spelling_of_the_known_name_is_given_back() -> None:
    assert nearest("acme.exmaple.com", ["ACME.example.com"]) == "ACME.example.com"


def test_a_hostile_name_costs_nothing() -> None:
    assert nearest("On Ring" * 30_000, ["On Ring"] * 1_000) is None


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=8))
def test_the_answer_is_one_of_the_known_names(name: str, known: list[str]) -> None:
    found = nearest(name, known)
    assert found is None or found in known
    if name in known:
        assert found is not None
        assert difference(name, name) == "case"
