"""Plugins: who may log in and who may use a topic, in amqtt's plugin shape.

Ours are called directly. An operator's own amqtt plugins are asked beside them through amqtt's plugin manager: all must
agree, so that they can only narrow; None abstains. Their `Session` is a light one.
"""

import copy
from collections.abc import Callable
from typing import Any

from amqtt.broker import BrokerContext
from amqtt.contexts import Action as PluginAction
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.plugins.manager import PluginManager
from amqtt.session import Session as AmqttSession

from bridge.broker.core.packets import Connect
from bridge.broker.port import Gate, LoginRefused
from bridge.words.principal import Principal
from bridge.words.topics import Action

Permits = Callable[[Principal, Action, str], bool]

_ACTIONS = {Action.SUBSCRIBE: PluginAction.SUBSCRIBE, Action.PUBLISH: PluginAction.PUBLISH}


class _State:
    """What stands for amqtt's state machine, which costs 23 KiB for each session."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = "connected"


class LightSession(AmqttSession):  # type: ignore[misc]
    """What plugins see of a client."""

    def __init__(self, connect: Connect, client_id: str, address: str, port: int) -> None:
        # super().__init__ would build the state machine and three queues.
        self.transitions = _State()
        self.client_id = client_id
        self.username = connect.username
        self.password = None if connect.password is None else connect.password.decode(errors="replace")
        self.remote_address = address
        self.remote_port = port
        self.clean_session = connect.clean
        self.keep_alive = connect.keep_alive
        self.will_flag = connect.will is not None
        self.will_topic = connect.will and connect.will.topic
        self.will_message = connect.will and connect.will.payload
        self.will_qos = connect.will and connect.will.qos
        self.will_retain = connect.will and connect.will.retain
        self.is_anonymous = False
        self.ssl_object = None
        self.broker_uri = self.cafile = self.capath = self.cadata = None
        self.publish_retry_delay = self.parent = 0
        self.last_connect_time = self.last_disconnect_time = None
        self.attributes: dict[str, Any] = {}
        self.principal: Principal | None = None

    __hash__ = object.__hash__


class Authentication(BaseAuthPlugin):  # type: ignore[misc]
    """Our own authentication: the gate decides."""

    def __init__(self, context: BrokerContext, gate: Gate) -> None:
        super().__init__(_configured(context, self.Config()))
        self._gate = gate

    def login(self, connect: Connect, origin: str | None) -> Principal:
        """Return who logs in, or raise LoginRefused."""
        return self._gate.login(connect.username, connect.password, origin)

    def alive(self, principal: Principal, now: float) -> bool:
        """Say whether a live connection's credential still counts."""
        return self._gate.alive(principal, now)

    async def authenticate(self, *, session: LightSession) -> bool:
        """Answer as amqtt asks."""
        password = None if session.password is None else session.password.encode()
        try:
            session.principal = self._gate.login(session.username, password, None)
        except LoginRefused:
            return False
        return True


class Permission(BaseTopicPlugin):  # type: ignore[misc]
    """Our own permissions: the contract's table."""

    def __init__(self, context: BrokerContext, permits: Permits) -> None:
        super().__init__(_configured(context, self.Config()))
        self.permits = permits

    async def topic_filtering(self, *, session: LightSession, topic: str, action: PluginAction) -> bool:
        """Answer as amqtt asks. What a client receives was permitted when it subscribed."""
        if action == PluginAction.RECEIVE:
            return True
        return session.principal is not None and self.permits(session.principal, Action(str(action)), topic)


def _configured(context: BrokerContext, config: object) -> BrokerContext:
    """Give a plugin its own options, as amqtt's plugin manager does."""
    own = copy.copy(context)
    own.config = config
    return own


class Guests:
    """The operator's own plugins."""

    def __init__(self, manager: PluginManager[BrokerContext]) -> None:
        self._manager = manager

    def __bool__(self) -> bool:
        return bool(self._manager.plugins)

    async def admit(self, session: LightSession) -> bool:
        """Ask whether a client may log in."""
        answers = await self._manager.map_plugin_auth(session=session)
        return all(answer is None or answer for answer in answers.values())

    async def permit(self, session: LightSession, action: Action, topic: str) -> bool:
        """Ask whether a client may use a topic."""
        answers = await self._manager.map_plugin_topic(session=session, topic=topic, action=_ACTIONS[action])
        return all(answer is None or answer for answer in answers.values())

    async def tell(self, event: str, **facts: object) -> None:
        """Fire one of amqtt's broker events."""
        await self._manager.fire_event(event, **facts)
