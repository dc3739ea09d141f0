"""Tables of tagged words: reading them, the schemes of their tags, scores, and how raw text is cut into words."""
