"""AsyncAPI: `/asyncapi.json`, the MQTT topics and their messages, made from the same types that spell them."""

import re

import msgspec

from bridge import __version__
from bridge.broker.core.presence import Presence
from bridge.delivery.desks import Gone, Moved, Told
from bridge.http.documents import examples
from bridge.http.documents.schemas import Schema, components, live, ref
from bridge.words import topics
from bridge.words.pop import Pop

_TYPES = (Pop, Told, Moved, Gone, Presence)
_PARTS = {
    "CustomerID": "The customer.",
    "AgentId": "The agent.",
    "CtiId": "A CTI environment of the customer.",
    "CrmId": "A CRM instance of the customer.",
    "Entity": "SupportTicket, ChatSession, VideoSession or UserPresence.",
    "PushTopicName": "As the CRM calls it.",
    "Mapped": "User, Group or Status.",
    "Kind": "sessions, queues or agents.",
    "Item": "The id of a session, a group or an agent.",
}
_TEXT: Schema = {"type": "string"}


class _Topic(msgspec.Struct, frozen=True, kw_only=True):
    address: str
    about: str
    kinds: tuple[str, ...]
    from_bridge: bool = True
    retained: bool = False
    qos: int = 1


def document() -> Schema:
    """Describe every topic that the bridge knows (AsyncAPI 3.0); `send` is what the bridge does."""
    known = _topics()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "popbridge",
            "version": __version__,
            "description": "MQTT 3.1.1, over TCP and over WebSocket at /mqtt. In a level, / + # % and a leading $ are "
            "percent-encoded.",
        },
        "channels": {name: _channel(topic) for name, topic in known.items()},
        "operations": {
            name: {
                "action": "send" if topic.from_bridge else "receive",
                "channel": {"$ref": f"#/channels/{name}"},
                "bindings": {"mqtt": {"qos": topic.qos, "retain": topic.retained}},
            }
            for name, topic in known.items()
        },
        "components": {"schemas": components(_TYPES) | live() | _desk() | _events()},
    }


def _channel(topic: _Topic) -> Schema:
    return {
        "address": topic.address,
        "description": topic.about,
        "parameters": {part: {"description": _PARTS[part]} for part in re.findall(r"{(\w+)}", topic.address)},
        "messages": {kind: _message(kind) for kind in topic.kinds},
    }


def _message(kind: str) -> Schema:
    example = {"payload": examples.MESSAGES[kind]}
    return {"contentType": "application/json", "payload": ref(kind), "examples": [example]}


def _topics() -> dict[str, _Topic]:
    """Addresses are spelled in `topics`."""
    customer, agent = "{CustomerID}", "{AgentId}"
    return {
        "cti": _Topic(
            address=topics.cti(customer, agent), about="Pops of telephony and of the Cloud API.", kinds=("Pop",)
        ),
        "cti_environment": _Topic(
            address=topics.cti(customer, agent, "{CtiId}"), about="Pops of one CTI environment.", kinds=("Pop",)
        ),
        "crm": _Topic(address=topics.crm(customer, agent, "{CrmId}"), about="Pops of a CRM instance.", kinds=("Pop",)),
        "crm_any": _Topic(
            address=topics.crm(customer, agent), about="Pops of a CRM trigger without a CrmId.", kinds=("Pop",)
        ),
        "ack": _Topic(
            address=topics.ack(customer, agent),
            about="What a desktop says of pops and records.",
            kinds=("Told", "Moved", "Gone"),
            from_bridge=False,
        ),
        "desk": _Topic(
            address=topics.desk(customer, agent),
            about="What the bridge tells an agent's desktops.",
            kinds=("Recall", "Refused", "Records"),
        ),
        "presence": _Topic(
            address=topics.presence(customer, agent),
            about="Whether an agent has a desktop connected.",
            kinds=("Presence",),
            retained=True,
        ),
        "live": _Topic(
            address=topics.live(customer, "{Kind}", "{Item}"),
            about="The live floor: an item as it is now, with rising `seq`; null once it is gone.",
            kinds=("LiveChangeTold",),
            qos=0,
        ),
        **_feed_topics(f"CLOUDSYNC/{customer}"),
    }


def _feed_topics(under: str) -> dict[str, _Topic]:
    """What CloudSync tells; a channel of the platform is a topic below the customer's."""
    return {
        "cloudsync_data": _Topic(
            address=f"{under}/data/{{Entity}}ChangeEvent",
            about="Change Data Capture, in either dialect.",
            kinds=("Event",),
            from_bridge=False,
        ),
        "cloudsync_topic": _Topic(
            address=f"{under}/topic/{{PushTopicName}}", about="A PushTopic.", kinds=("Event",), from_bridge=False
        ),
        "cloudsync_user": _Topic(
            address=f"{under}/user/{{Mapped}}ChangeEvent",
            about="Users, groups and statuses: what ids are called and mean.",
            kinds=("Event",),
            from_bridge=False,
        ),
        "cloudsync_feed": _Topic(
            address=f"{under}/feed",
            about="Whether the source is up; also as its will.",
            kinds=("FeedState",),
            from_bridge=False,
            retained=True,
        ),
    }


def _desk() -> dict[str, Schema]:
    return {
        "Recall": _object("A pop, by its popid, is withdrawn.", {"recall": _TEXT}),
        "Refused": _object("A record was not opened for this agent.", {"refused": _TEXT, "reason": _TEXT}),
        "Records": _object(
            "The agent's current record, absent where there is none, and its Activities, newest first.",
            {"current": _TEXT, "activities": {"type": "array", "items": _TEXT}},
            optional="current",
        ),
    }


def _events() -> dict[str, Schema]:
    """The platform's messages as they are: what is not in here stays as it came."""
    header: Schema = {
        "type": "object",
        "properties": {"entityName": _TEXT, "recordIds": {"type": "array", "items": _TEXT}, "changeType": _TEXT},
        "required": ["entityName", "recordIds", "changeType"],
        "additionalProperties": True,
    }
    changed: Schema = {
        "description": "Change Data Capture.",
        "type": "object",
        "properties": {"ChangeEventHeader": header},
        "required": ["ChangeEventHeader"],
        "additionalProperties": True,
    }
    pushed = {"type": "object", "properties": {"Id": _TEXT}, "required": ["Id"], "additionalProperties": True}
    told = {"anyOf": [{"required": ["payload"]}, {"required": ["sobject"]}]}
    return {
        "Event": {"description": "Whole, or its `data` alone.", "anyOf": [ref("Whole"), ref("Data")]},
        "Whole": {
            "type": "object",
            "properties": {"channel": _TEXT, "data": ref("Data")},
            "required": ["data"],
            "additionalProperties": True,
        },
        "Data": {
            "type": "object",
            "properties": {"payload": changed, "sobject": pushed},
            "additionalProperties": True,
            **told,
        },
        "FeedState": _object(
            "What a source says of itself.", {"state": {"enum": ["up", "down"]}, "at": _TEXT}, optional="at"
        ),
    }


def _object(about: str, properties: dict[str, Schema], optional: str = "") -> Schema:
    required = [name for name in properties if name != optional]
    return {"description": about, "type": "object", "properties": properties, "required": required}
