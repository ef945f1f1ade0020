"""The table of refusals, and the sentences made from it."""

import pytest

from bridge.words import errors
from bridge.words.errors import TABLE
from bridge.words.principal import Role

CODES = {
    "malformed_body": 400,
    "missing_parameter": 400,
    "ambiguous_parameter": 400,
    "invalid_parameter": 400,
    "missing_key": 401,
    "invalid_key": 401,
    "forbidden": 403,
    "not_found": 404,
    "unknown_crmid": 404,
    "unknown_event": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "payload_too_large": 413,
    "uri_too_long": 414,
    "unsupported_encoding": 415,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "internal_error": 500,
    "overloaded": 503,
}


@pytest.mark.parametrize(("code", "status"), CODES.items())
def test_the_contracts_codes_have_the_contracts_statuses(code: str, status: int) -> None:
    assert TABLE[code].status == status


def test_every_row_says_what_it_is_and_what_to_do() -> None:
    for code, row in TABLE.items():
        assert row.code == code
        assert row.title
        assert row.hint.endswith(".")
        assert 400 <= row.status < 600


def test_a_refused_key_is_told_to_be_checked() -> None:
    assert "check" in TABLE["invalid_key"].hint.lower()
    assert "API key" in TABLE["invalid_key"].hint
    assert "API key" in TABLE["missing_key"].hint


def test_busy_and_throttled_say_when_to_come_again() -> None:
    assert errors.overloaded("Full").headers["Retry-After"] == "1"
    assert errors.rate_limited("Slowly", 2.2).headers["Retry-After"] == "3"
    assert errors.rate_limited("Slowly", 0.0).headers["Retry-After"] == "1"


def test_a_size_is_told_with_its_limit() -> None:
    fault = errors.payload_too_large("The body", 7, 5)
    assert fault.extra == {"size": 7, "limit": 5}
    assert "7" in fault.detail
    assert "5" in fault.detail


def test_a_place_is_told_in_words_and_numbers() -> None:
    fault = errors.malformed_body("It is torn", 3, 4)
    assert fault.detail == "It is torn at line 3, column 4."
    assert fault.extra == {"line": 3, "column": 4}
    assert errors.malformed_body("It is torn").extra == {}


def test_a_wrong_kind_is_told_which_kind_it_takes() -> None:
    assert "an API key" in errors.wrong_kind([Role.KEY]).detail
    assert "an observer token or an admin token" in errors.wrong_kind([Role.OBSERVER, Role.ADMIN]).detail


def test_every_kind_of_credential_has_a_word() -> None:
    for role in Role:
        assert errors.wrong_kind([role]).problem.code == "forbidden"


def test_a_refused_method_names_the_allowed_ones() -> None:
    fault = errors.method_not_allowed("BREW" * 100, "GET, POST")
    assert fault.headers == {"Allow": "GET, POST"}
    assert len(fault.detail) < 100
