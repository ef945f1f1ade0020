from bridge.credentials.throttle import Throttle

HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_the_fifth_failure_in_a_row_begins_waits_that_double_to_a_minute() -> None:
    throttle, now, waits = Throttle(), 0.0, []
    for _ in range(13):
        throttle.failed("ann", HERE, now)
        waits.append(throttle.blocked_for("ann", HERE, now))
        now += waits[-1]
        assert throttle.blocked_for("ann", HERE, now) == 0
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_wait_runs_down() -> None:
    throttle = Throttle()
    for _ in range(6):
        throttle.failed("ann", HERE, 100.0)
    assert throttle.blocked_for("ann", HERE, 100.5) == 1.5
    assert throttle.blocked_for("ann", HERE, 1e9) == 0


def test_neither_another_address_nor_another_user_waits() -> None:
    throttle = Throttle()
    for _ in range(50):
        throttle.failed("ann", HERE, 0)
    assert throttle.blocked_for("ann", HERE, 0) == 60
    assert throttle.blocked_for("ann", THERE, 0) == 0
    assert throttle.blocked_for("bob", HERE, 0) == 0


def test_a_success_breaks_the_row() -> None:
    throttle = Throttle()
    for _ in range(5):
        throttle.failed("ann", HERE, 0)
    throttle.succeeded("ann", HERE)
    for _ in range(4):
        throttle.failed("ann", HERE, 1)
    assert throttle.blocked_for("ann", HERE, 1) == 0


def test_failures_of_an_hour_ago_are_not_in_the_row() -> None:
    throttle = Throttle()
    for _ in range(20):
        throttle.failed("ann", HERE, 0)
    throttle.failed("ann", HERE, 3601)
    assert throttle.blocked_for("ann", HERE, 3601) == 0


def test_what_is_remembered_has_a_bound_however_many_names_are_tried() -> None:
    throttle = Throttle(remembered=100)
    for number in range(1000):
        throttle.failed(f"user {number}" * 100 + "\ud800", HERE, 0)
    assert len(throttle._failures) == 100
    assert all(len(key) == 16 for key in throttle._failures)


def test_a_million_failures_are_still_a_minute() -> None:
    throttle = Throttle()
    for _ in range(100_000):
        throttle.failed("ann", HERE, 0)
    assert throttle.blocked_for("ann", HERE, 0) == 60
