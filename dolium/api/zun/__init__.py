"""The container API, word for word as Zun 1.40 speaks it; one file per resource."""
