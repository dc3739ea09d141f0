"""Static vectors of the target's tokens: training them, and reading them from files."""
