"""The broker's contract: what any MQTT 3.1.1 broker must do, and what ours must do besides, seen from the wire."""
