from bridge.credentials.live import LiveCredentials
from bridge.credentials.uses import GATHERED, Uses
from bridge.words.principal import Principal, Role


def key(number: int, expires: float) -> Principal:
    return Principal(Role.KEY, "acme", f"key-{number}", expires)


def test_who_is_not_in_it_does_not_count() -> None:
    live = LiveCredentials()
    assert live.get("key-1") is None
    assert not live.alive("key-1", 0)


def test_an_entry_that_somebody_holds_ends_with_the_registrys() -> None:
    live = LiveCredentials()
    live.put(key(1, 100), 100)
    held = live.get("key-1")
    live.put(key(1, 100), 50)
    assert held is live.get("key-1")
    assert held is not None
    assert held.ends == 50
    assert live.alive("key-1", 49.9)
    assert not live.alive("key-1", 50)


def test_what_has_expired_is_forgotten_a_part_at_a_time() -> None:
    live = LiveCredentials()
    for number in range(10):
        live.put(key(number, float(number)), float(number))
        live.put(key(number, float(number)), 0)
    live.forget_expired(6.0, limit=3)
    assert len(live) == 7
    live.forget_expired(6.0)
    assert [number for number in range(10) if live.get(f"key-{number}")] == [7, 8, 9]


def test_uses_that_could_not_be_written_are_added_to_later_ones() -> None:
    uses = Uses()
    for now in (1.0, 2.0):
        uses.note("key-1", "192.0.2.1", now)
        uses.note("key-2", "192.0.2.1", now)
    taken = uses.take()
    uses.note("key-1", "192.0.2.9", 3.0)
    uses.give_back(taken)
    again = {id_: (use.at, use.address, use.count) for id_, use in uses.take().items()}
    assert again == {"key-1": (3.0, "192.0.2.9", 3), "key-2": (2.0, "192.0.2.1", 2)}
    assert uses.take() == {}


def test_the_uses_gathered_have_a_bound() -> None:
    uses = Uses()
    for number in range(GATHERED + 5):
        uses.note(f"key-{number}", "192.0.2.1", 0)
    assert len(uses.take()) == GATHERED
