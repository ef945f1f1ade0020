from bridge.crm.pace import FIRST, LONGEST, Pace


def test_pauses_double_from_one_second_to_fifteen_minutes() -> None:
    pace = Pace(lambda: 1.0)
    pauses = []
    for _ in range(14):
        pace.failed(1000.0)
        pauses.append(pace.due - 1000.0)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST == 900.0
    pace.passed()
    pace.failed(1000.0)
    assert pace.due == 1000.0 + FIRST


def test_a_pause_is_at_least_half_of_its_length() -> None:
    pace = Pace(lambda: 0.0)
    pace.failed(0.0)
    assert pace.due == 0.5


def test_the_server_s_word_counts_when_it_is_longer() -> None:
    pace = Pace(lambda: 1.0)
    pace.failed(0.0, 120.0)
    assert pace.due == 120.0
    pace.failed(0.0, 0.1)
    assert pace.due == 2.0


def test_a_circuit_opens_with_an_alarm_and_closes_when_it_works_again() -> None:
    pace = Pace(lambda: 1.0)
    pace.opened(10.0, "invalid_client_id: …")
    assert (pace.alarm, pace.due) == ("invalid_client_id: …", 10.0 + LONGEST)
    pace.passed()
    assert (pace.alarm, pace.due) == ("", 0.0)
