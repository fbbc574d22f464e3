"""The MQTT bridge: agents for games and devices."""
