"""Which host a container goes to: pure decisions on numbers in memory.

Nothing here reads a clock, a socket or a database, and the source of chance is handed in.
"""
