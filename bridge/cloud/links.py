"""Links: what ScriptData becomes for an external campaign. One-way: nothing comes back."""

from collections.abc import Mapping

import msgspec

from bridge.words.settings import Campaign

Members = dict[str, msgspec.Raw]

_VARIABLE = "var_"


def link(campaign: Campaign, data: Mapping[str, msgspec.Raw]) -> tuple[Members | None, Members | None]:
    """Give `fields` (mapped names) and `variables` (names beginning `var_`); None where there are none."""
    if not campaign.external:
        return None, None
    fields = {campaign.fields[name]: value for name, value in data.items() if name in campaign.fields}
    variables = {name: value for name, value in data.items() if name.startswith(_VARIABLE)}
    return fields or None, variables or None
