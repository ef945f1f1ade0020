"""Core: MQTT 3.1.1 as a state machine, without I/O: bytes to packets, sessions, subscriptions, what is retained."""
