"""The HTTP border: authentication, policy, versions, validation and bodies; no decisions."""
