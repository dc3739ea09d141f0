"""A file for each task: what its head computes in the graph, and what the numbers say of a text."""
