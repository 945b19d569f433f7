"""Claims: who has the last word about a host's room, where that is not our own database."""
