"""Learning the rows of new tokens through the frozen source encoder: text, start, training."""
