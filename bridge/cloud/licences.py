"""Licences: who may receive Cloud pops, and the seats that are taken."""

from bridge.words.settings import Licence

Agent = tuple[str, str]


class Seats:
    """The concurrent licences' seats in use. Every step is taken at once, so two never get the last seat."""

    def __init__(self) -> None:
        self._taken: dict[str, set[str]] = {}

    def take(self, agent: Agent, licence: Licence) -> bool:
        """Let an agent receive a Cloud pop, if the licence covers it; a concurrent seat stays until given back."""
        customer, agentid = agent
        match licence.kind:
            case "per_system":
                return True
            case "named":
                return agentid in licence.users[: licence.seats]
            case "concurrent":
                taken = self._taken.setdefault(customer, set())
                if agentid not in taken and len(taken) >= licence.seats:
                    return False
                taken.add(agentid)
                return True

    def holds(self, agent: Agent) -> bool:
        """Say whether the agent has a seat."""
        return agent[1] in self._taken.get(agent[0], ())

    def give_back(self, agent: Agent) -> None:
        """Free the agent's seat, if it has one."""
        taken = self._taken.get(agent[0])
        if taken is not None:
            taken.discard(agent[1])
            if not taken:
                del self._taken[agent[0]]

    def users(self, customer: str, licence: Licence) -> list[str]:
        """List who uses the licence now: those with a seat, or those it names."""
        if licence.kind == "named":
            return licence.users[: licence.seats]
        return sorted(self._taken.get(customer, ()))
