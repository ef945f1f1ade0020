"""An agent's desktop with plain paho-mqtt: what any MQTT 3.1.1 client has to do.

    POPBRIDGE_TOKEN=… python desktop_paho.py 127.0.0.1 1883 acme 1001

Agent ids with / + # % or a leading $ are percent-encoded in topics (site/12 is site%2F12), but not in the user name.
"""

import json
import os
import sys
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

SEEN: dict[str, None] = {}
"""Delivery is at least once: a popid that was shown is not shown again. Bounded, the oldest goes first."""


def main(host: str, port: str, customer: str, agent: str) -> None:
    """Connect, subscribe at QoS 1, show each pop once, and say so on the topic that the pop names."""
    level = "".join(f"%{ord(each):02X}" if each in "/+#%" else each for each in agent)
    level = f"%24{level[1:]}" if level.startswith("$") else level

    def on_connect(client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            print(f"refused: {reason}", file=sys.stderr, flush=True)
            client.disconnect()
            return
        # With and without CtiId, with and without CrmId. Subscribing here does it again after each reconnect.
        client.subscribe(
            [
                (f"CTI/{customer}/{level}", 1),
                (f"CTI/{customer}/+/{level}", 1),
                (f"CRM/{customer}/{level}", 1),
                (f"CRM/{customer}/+/{level}", 1),
            ]
        )

    def on_subscribe(_client: mqtt.Client, _userdata: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        print("connected" if not any(each.is_failure for each in reasons) else reasons, file=sys.stderr, flush=True)

    def on_message(client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        pop = json.loads(message.payload)
        if pop["popid"] in SEEN:
            return
        SEEN[pop["popid"]] = None
        if len(SEEN) > 10_000:
            del SEEN[next(iter(SEEN))]
        # Pops of the Cloud API name a campaign instead of an event.
        print(pop["popid"], pop.get("event") or pop["campaign"], pop["data"], flush=True)
        client.publish(pop["ack"], json.dumps({"popid": pop["popid"], "outcome": "shown"}), qos=1)

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(f"{customer}/{agent}", os.environ["POPBRIDGE_TOKEN"])
    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect(host, int(port))
    try:
        client.loop_forever()
    except KeyboardInterrupt:
        client.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:5])
