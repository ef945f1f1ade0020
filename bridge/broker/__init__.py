"""Broker: MQTT, embedded in the process. The only room that knows amqtt."""
