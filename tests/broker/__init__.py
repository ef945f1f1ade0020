"""The broker, room by room, and as a whole."""
