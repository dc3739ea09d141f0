"""Masked language modelling on prepared text: the data, and the loss on it."""
