"""What a process tells of itself to who watches it: figures, and whether it is well."""
