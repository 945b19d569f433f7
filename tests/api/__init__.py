"""The pieces of the HTTP border, one by one."""
