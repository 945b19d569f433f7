"""The nouns of Dolium: plain structs and tables of states, no input or output."""
