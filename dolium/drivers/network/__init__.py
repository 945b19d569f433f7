"""Network drivers, control side: make networks and ports."""
