"""Sockets that Docker calls: networks and addresses (volumes come beside them)."""
