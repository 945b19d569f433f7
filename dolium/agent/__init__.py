"""The agent: one per host, brings what is on it in line with the wishes."""
