"""The `dolium` command."""
