"""Fences: what can prove that a silent host is off."""
