"""Story: one sentence about a pop: why it appeared, or why not and what to change. Pure."""

from collections.abc import Sequence

from bridge.delivery.lifecycle import Status
from bridge.words.ledger import Step

_REFUSED = {
    "record_locked": "another agent has the record open; close it there, or send the pop to that agent",
    "no_licence": "the agent has no Cloud API licence free; raise the seats, or name the agent, under `cloud.licence`",
    "unknown_campaign": "the campaign is not configured; add it under `cloud.campaigns`, spelled as the caller does",
    "plugin_disabled": "the Cloud API is switched off for this customer; set `cloud.enabled`",
}


def why(steps: Sequence[Step], topic: str) -> str:  # noqa: PLR0911 - one sentence a status
    """Tell the pop's story from its steps, oldest first."""
    if not steps:
        return "Nothing is known of this pop."
    last = steps[-1]
    seen = {step.status for step in steps}
    match last.status:
        case Status.SHOWN:
            aside = f", and put {last.detail} aside" if last.detail else ""
            return f"The agent's desktop opened it{aside}."
        case Status.UNCHANGED:
            return "Nothing was popped: the record is the agent's current one already."
        case Status.REFUSED:
            return _refused(last.detail)
        case Status.DELIVERED:
            return "A desktop received it but has not said that it opened it; a desktop says so on its ACK topic."
        case Status.RECALLED:
            return "It was recalled before it was shown."
        case Status.EXPIRED if Status.SENT in seen:
            return "A desktop was connected but did not acknowledge it in time; look at the desktop's connection."
        case Status.EXPIRED:
            return (
                f"No desktop subscribed to {topic} in time; check that the agent is signed in, that its desktop "
                "subscribes to this topic, and that the agentid is spelled as the desktop spells it."
            )
        case Status.SENT:
            return "It was written to a desktop that has not acknowledged it yet, or that subscribed at QoS 0."
        case _:
            return f"It waits for a desktop to subscribe to {topic}; until it expires it goes to the first that does."


def _refused(detail: str) -> str:
    reason, _, holder = detail.partition(" ")
    if reason not in _REFUSED or (holder and reason != "record_locked"):
        return f"It was refused: the desktop said so ({detail or 'without a reason'}); look there."
    return f"It was refused: {_REFUSED[reason]}{f' (it is open at {holder})' if holder else ''}."
