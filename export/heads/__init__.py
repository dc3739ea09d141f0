"""One file for each task: the nodes of its head in the graph, and the results for a text."""
