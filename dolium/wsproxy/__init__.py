"""The websocket proxy: terminals of containers, for clients of the container API."""
