"""How Dolium behaves over HTTP, told as stories: YAML that reads like documentation."""
