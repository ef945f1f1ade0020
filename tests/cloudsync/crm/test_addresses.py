import pytest

from bridge.crm import addresses
from bridge.crm.troubles import Trouble
from bridge.words.settings import Crm


def crm(**other: object) -> Crm:
    return Crm(consumer_key="k", user_id="u", **other)  # type: ignore[arg-type]


def test_the_audience_follows_the_host_unless_it_is_set() -> None:
    production = addresses.of(crm())
    assert production.token_endpoint == "https://login.cloudsync.com/services/oauth2/token"
    assert production.audience == "https://login.cloudsync.com"
    sandbox = addresses.of(crm(sandbox=True))
    assert sandbox.token_endpoint == "https://test.cloudsync.com/services/oauth2/token"
    assert sandbox.audience == "https://test.cloudsync.com"
    own = addresses.of(crm(token_endpoint="https://acme.my.cloudsync.com/services/oauth2/token"))
    assert own.audience == "https://acme.my.cloudsync.com"
    assert addresses.of(crm(audience="https://x")).audience == "https://x"


@pytest.mark.parametrize(
    "url",
    [
        "http://login.cloudsync.com/x",
        "ftp://x/y",
        "https://",
        "https://me:secret@x/y",
        "x",
        "http://[::2]/",
        "https://x:99999/",
    ],
)
def test_a_credential_goes_only_to_https_or_to_this_machine(url: str) -> None:
    with pytest.raises(Trouble, match=r"^insecure"):
        addresses.of(crm(token_endpoint=url))
    with pytest.raises(Trouble, match=r"^insecure"):
        addresses.of(crm(instance=url))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8/x", "http://localhost:1", "http://[::1]:1", "https://x.example"])
def test_these_are_safe(url: str) -> None:
    assert addresses.checked(url) == url


def test_templates_are_filled_and_their_values_are_quoted() -> None:
    path = addresses.records_path(crm(), "User", ["005a", "005b"], ("Id", "Name"))
    assert path == "/services/data/v60.0/composite/sobjects/User?ids=005a,005b&fields=Id,Name"
    single = crm(records_path="/{entity}/{id}")
    assert addresses.records_path(single, "User", ["00/5&"], ()) == "/User/00%2F5%26"
    query = addresses.query_path(crm(), "SELECT Id FROM User WHERE A >= 1")
    assert query == "/services/data/v60.0/query?q=SELECT%20Id%20FROM%20User%20WHERE%20A%20%3E%3D%201"


@pytest.mark.parametrize("template", ["/x", "//evil/{ids}", "https://evil/{ids}", "/{ids}/{other}", "/{ids", "/{ids}{"])
def test_a_template_that_cannot_be_filled_is_refused(template: str) -> None:
    with pytest.raises(Trouble, match=r"^bad_path"):
        addresses.records_path(crm(records_path=template), "User", ["1"], ())
