"""How roles talk: a host pulls wishes, posts facts and answers questions."""
