"""Campaigns: what a Cloud API request asks for, held against the customer's configuration, becomes a trigger."""

from bridge.cloud.links import link
from bridge.cloud.reading import CAMPAIGN, REFERENCE, USERNAME, CloudPop
from bridge.connect.admission import check_id
from bridge.connect.nearest import nearest
from bridge.words import topics
from bridge.words.settings import Customer
from bridge.words.trigger import Channel, Controls, Trigger


def admit(customer: str, catalogue: Customer, said: CloudPop, controls: Controls, traceparent: str | None) -> Trigger:
    """Check the ids; a plugin that is off or a campaign that is unknown is a refusal of the pop, not of the request."""
    for name, value in ((USERNAME, said.username), (CAMPAIGN, said.campaign), (REFERENCE, said.reference or "-")):
        check_id(name, value)
    campaign = catalogue.cloud.campaigns.get(said.campaign)
    refusal = hint = None
    if not catalogue.cloud.enabled:
        refusal = "plugin_disabled"
    elif campaign is None:
        refusal = "unknown_campaign"
        meant = nearest(said.campaign, catalogue.cloud.campaigns)
        if meant is not None:
            hint = f"The nearest campaign is {meant!r}."
    fields, variables = (None, None) if campaign is None else link(campaign, said.data)
    return Trigger(
        channel=Channel.CLOUD,
        customer=customer,
        agentid=said.username,
        campaign=said.campaign,
        reference=said.reference,
        topic=topics.cti(customer, said.username),
        ttl=catalogue.ttl.cloud if controls.ttl is None else controls.ttl,
        fields=fields,
        variables=variables,
        data=said.data,
        controls=controls,
        refusal=refusal,
        hint=hint,
        traceparent=traceparent,
    )
