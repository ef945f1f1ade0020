"""Letters: messages on their way to clients."""

import msgspec

from bridge.broker.core import wire
from bridge.broker.port import Watcher


class Letter(msgspec.Struct, gc=False):
    """One message on its way to any number of clients; its encoding is shared by all of them.

    A transient one never waits for a client that is not connected; one with a watcher must be transient. `keep` asks
    to retain it once it is passed on; `retain` is RETAIN on the wire; `superseded` tells that a retained message was
    replaced before it was written.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    keep: bool = False
    watcher: Watcher | None = None
    transient: bool = False
    superseded: bool = False
    whole: bytes = b""  # at QoS 0
    head1: bytes = b""
    head2: bytes = b""

    def at_qos_0(self) -> bytes:
        """Spell the PUBLISH at QoS 0."""
        if not self.whole:
            self.whole = wire.publish_head(self.topic, len(self.payload), 0, retain=self.retain) + self.payload
        return self.whole

    def at(self, qos: int, identifier: int) -> bytes:
        """Spell the PUBLISH at QoS 1 or 2."""
        if qos == 1:
            head = self.head1
            if not head:
                head = self.head1 = wire.publish_head(self.topic, len(self.payload), 1, retain=self.retain)
        else:
            head = self.head2
            if not head:
                head = self.head2 = wire.publish_head(self.topic, len(self.payload), 2, retain=self.retain)
        return head + identifier.to_bytes(2, "big") + self.payload


class Copy(msgspec.Struct, gc=False):
    """One client's copy of a letter at QoS 1 or 2. `released`: PUBREC came, PUBCOMP is awaited."""

    letter: Letter
    qos: int
    released: bool = False
