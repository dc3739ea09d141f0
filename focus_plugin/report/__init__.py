"""The HTML page of a conversion."""
