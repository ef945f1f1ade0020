"""Asked: what the CRM is asked for of each entity: the fields that count, and none of what people wrote."""

from collections.abc import Mapping

_LEG = (
    "SessionKey Status GroupId OwnerId {} WrapUpEndTime FirstResponseTime EndedBy DeclineCount TransferCount TicketId"
)

FIELDS: Mapping[str, tuple[str, ...]] = {
    entity: ("Id", *names.split(), "LastModifiedDate")
    for entity, names in {
        "SupportTicket": (
            "TicketNumber Status Priority Origin Type Reason OwnerId GroupId CreatedDate ClosedDate FirstResponseDate "
            "IsEscalated MasterRecordId ContactId"
        ),
        "ChatSession": _LEG.format("RequestTime AcceptTime EndTime HoldTime") + " IsBotSession ChannelType Priority",
        "VideoSession": (
            _LEG.format("HostId EnqueueTime StartDateTime EndDateTime HoldDuration")
            + " IsBotSession ChannelType Priority PreviousSessionId NextSessionId Disposition"
        ),
        "UserPresence": (
            "UserId PresenceStatusId StatusStartDate StatusEndDate IsCurrentState IsAway StatusReason "
            "ConfiguredCapacity UsedCapacity"
        ),
        "User": "Name Username DefaultGroupId TimeZone",
        "Group": "Name TimeZone ServiceLevelSeconds ShortAbandonSeconds",
        "Status": "Entity ApiName Category IsClosed",
        "PresenceStatus": "Name Category",
    }.items()
}
"""By entity, in the platform's names."""

ENTITIES = {"user": "User", "group": "Group", "presence": "PresenceStatus"}
"""The entity of each kind of id; a `status` has none of its own: all are listed."""
