"""Dolium: a container stack for OpenStack in one service."""

__version__ = "0.1.0"
