"""Binders: what plugs a port into a container's network namespace on a host."""
