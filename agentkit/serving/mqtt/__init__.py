"""The MQTT bridge: connects games and devices to agents through an MQTT broker."""
