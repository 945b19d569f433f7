"""The control side: what is done with a wish, from the request to the closed action."""
