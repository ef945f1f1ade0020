"""Warnings: what a caller did wrong although the pop was published; each is spelled `code: sentence`.

A sentence names the parameter, never its value: a value may be a credential.
"""

from bridge.words.errors import ADVICE


def parameter_case(given: str, name: str) -> str:
    """A reserved parameter came in another casing."""
    return f"parameter_case: `{given}` was read as `{name}`; spell it in lower case."


def data_overridden(name: str) -> str:
    """A data name came in query and body."""
    return f"data_overridden: `{name}` came in the query and in the body; the body's value was taken."


def json_repaired() -> str:
    """The body ended in a trailing comma."""
    return "json_repaired: the body ends in a comma before its closing brace; it was ignored."


def unknown_ctiid(known: list[str]) -> str:
    """The customer has no such CTI environment."""
    names = ", ".join(f"`{name}`" for name in known) or "none"
    return f"unknown_ctiid: `ctiid` is not one of this customer's CTI environments ({names}); published in lower case."


def unknown_event(difference: str) -> str:
    """The catalogue does not list the event, and says to warn."""
    return f"unknown_event: this customer's catalogue does not list this event{difference}. {ADVICE}"


def placeholder(name: str) -> str:
    """A platform's template variable was not filled in."""
    return f"placeholder: the value of `{name}` looks like a template variable that was not filled in."


def plus_lost(name: str) -> str:
    """A telephone number's plus became a blank."""
    return f"plus_lost: `{name}` begins with a blank before digits; write the plus of a telephone number as %2B."


def html_entity(name: str) -> str:
    """A URL was copied from an HTML page."""
    return f"html_entity: `amp;{name}` was read as `{name}`; separate parameters by `&`, not `&amp;`."


def double_encoded(where: str) -> str:
    """A value was percent-encoded twice."""
    return f"double_encoded: the {where} has values that were percent-encoded twice (such as %2520)."


def unknown_control(name: str) -> str:
    """A name beginning pop_ that is no control."""
    return f"unknown_control: `{name}` is not a control of the bridge and was dropped."


def key_in_data(name: str) -> str:
    """The caller's credential stood in the interaction data."""
    return f"key_in_data: `{name}` contained the API key and was dropped; send the key as `jwt` only."
