"""Network entry points: the HTTP chat service and the MQTT bridge."""
