"""Builds the demo's images from Debian packages, for machines that reach no registry.

Standard library only: this runs before Dolium's own environment needs to exist.
"""
