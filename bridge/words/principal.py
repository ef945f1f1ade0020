"""Principal: who a verified credential speaks for, and which doors it opens."""

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """The kind of a credential, a signed claim: each opens only its own door."""

    KEY = "key"  # triggers the Connect API
    DESKTOP = "desktop"  # an agent's desktop, by MQTT
    OBSERVER = "observer"  # reads everything of its customer
    FEED = "feed"  # publishes CloudSync events
    ADMIN = "admin"  # reads and steers everything of its customer
    CLOUD = "cloud"  # an IdToken: pops by the Cloud API
    ACCESS = "access"  # an AccessToken, which the vendor's answer has: opens nothing
    REFRESH = "refresh"  # gives new Cloud API tokens, once


class Principal(msgspec.Struct, frozen=True):
    """One verified credential. `expires` is in seconds since the epoch; `agent` is set for desktops only."""

    role: Role
    customer: str
    id: str
    expires: float
    agent: str | None = None
