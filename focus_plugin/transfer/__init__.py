"""Applying the result of a method to an encoder."""
