"""Entry points that serve others: the HTTP chat service and the MQTT bridge."""
