"""A bare client of paho that answers each message with its text, with QoS 2: what a bridge is compared with.

    python -m benchmarks.mqtt_echo PORT [GROUP]

It reads the JSON of a message, since the topic of the answer is in it, and does nothing else: no sessions, no model.
Several of a group share the messages.
"""

import json
import os
import socket
import sys
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def _answer(client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
    asked = json.loads(message.payload)
    client.publish(asked["replyTopic"], asked["message"], qos=2)


def _send_at_once(_: paho.Client, __: Any, connection: Any) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def main() -> None:
    """Answer until the process is terminated. Prints a line when it is subscribed."""
    group = "".join(f"$share/{each}/" for each in sys.argv[2:])
    client = paho.Client(CallbackAPIVersion.VERSION2, f"echo-{os.getpid()}", protocol=paho.MQTTv5)
    client.on_socket_open = _send_at_once
    client.on_connect = lambda connected, *_: connected.subscribe(f"{group}general/user_input", 2)
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    client.on_message = _answer
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_forever()


if __name__ == "__main__":
    main()
