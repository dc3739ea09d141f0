"""Published hypernetworks, which predict the embedding of a token from its pieces."""
