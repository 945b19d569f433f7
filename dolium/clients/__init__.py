"""Thin clients of OpenStack services, on keystoneauth1."""
