"""Topics: every topic the bridge knows, and who may use it."""

import re
from enum import StrEnum

from bridge.words.principal import Principal, Role

CUSTOMER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_UNSAFE = re.compile(r"[/+#%]|\A\$")
_OBSERVED = frozenset({"CTI", "CRM", "DESK", "ACK", "PRESENCE", "LIVE", "CLOUDSYNC"})


class Action(StrEnum):
    """What a client wants to do with a topic or filter."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"


def level(text: str) -> str:
    """Encode one topic level: `/ + # %` and a leading `$` become %XX, upper-case hex."""
    if text.isalnum() or _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def cti(customer: str, agent: str, ctiid: str | None = None) -> str:
    """Name the topic of a CTI or Cloud pop."""
    if ctiid is None:
        return f"CTI/{customer}/{level(agent)}"
    return f"CTI/{customer}/{level(ctiid)}/{level(agent)}"


def crm(customer: str, agent: str, crmid: str | None = None) -> str:
    """Name the topic of a CRM pop."""
    if crmid is None:
        return f"CRM/{customer}/{level(agent)}"
    return f"CRM/{customer}/{level(crmid)}/{level(agent)}"


def ack(customer: str, agent: str) -> str:
    """Name the topic where a desktop tells outcomes."""
    return f"ACK/{customer}/{level(agent)}"


def desk(customer: str, agent: str) -> str:
    """Name the topic where the bridge talks to an agent's desktops."""
    return f"DESK/{customer}/{level(agent)}"


def presence(customer: str, agent: str) -> str:
    """Name the topic where the bridge tells whether an agent has a desktop connected (retained)."""
    return f"PRESENCE/{customer}/{level(agent)}"


def live(customer: str, kind: str, item: str) -> str:
    """Name the topic of the live floor's changes of one item; `kind` is agents, sessions or queues."""
    return f"LIVE/{customer}/{kind}/{level(item)}"


def for_desktop(customer: str, agent: str, ctiid: str | None = None) -> tuple[str, ...]:
    """List the filters a desktop subscribes to: with and without CtiId, CTI and CRM, and its own DESK topic."""
    own = level(agent)
    environment = "+" if ctiid is None else level(ctiid)
    return (
        f"CTI/{customer}/{own}",
        f"CTI/{customer}/{environment}/{own}",
        f"CRM/{customer}/{own}",
        f"CRM/{customer}/+/{own}",
        f"DESK/{customer}/{own}",
    )


def permits(principal: Principal, action: Action, topic: str) -> bool:
    """Say whether `principal` may subscribe to a filter, or publish to a topic.

    A wildcard never widens what is granted: none in the first two levels, and for a desktop only `+` in the
    place of the CtiId or CrmId.
    """
    match principal.role:
        case Role.DESKTOP:
            return _permits_desktop(principal, action, topic)
        case Role.OBSERVER:
            kind, _, rest = topic.partition("/")
            return action is Action.SUBSCRIBE and kind in _OBSERVED and _under(principal.customer, rest)
        case Role.FEED:
            kind, _, rest = topic.partition("/")
            return kind == "CLOUDSYNC" and _under(principal.customer, rest) and "/" in rest
        case _:
            return False


def _permits_desktop(principal: Principal, action: Action, topic: str) -> bool:
    if not principal.agent:
        return False
    own = level(principal.agent)
    levels = topic.split("/")
    if len(levels) < 3 or levels[1] != principal.customer or levels[-1] != own:
        return False
    if action is Action.PUBLISH:
        return levels[0] == "ACK" and len(levels) == 3
    if levels[0] == "DESK":
        return len(levels) == 3
    if levels[0] not in {"CTI", "CRM"}:
        return False
    # The level between may be `+` or any one CtiId; `#` can stand only last, where the agent's own id must be.
    return len(levels) in {3, 4}


def _under(customer: str, rest: str) -> bool:
    return rest == customer or rest.startswith(f"{customer}/")
