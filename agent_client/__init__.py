"""agent_client: an agent's desktop, as an asyncio library and as a command."""

from agent_client.desktop import Desktop, NotAuthorised, State
from agent_client.messages import Current, Notice, Recall, Refused
from agent_client.records import NotInActivitiesError, Records

__all__ = [
    "Current",
    "Desktop",
    "NotAuthorised",
    "NotInActivitiesError",
    "Notice",
    "Recall",
    "Records",
    "Refused",
    "State",
]
