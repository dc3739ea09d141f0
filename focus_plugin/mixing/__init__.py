"""What methods share: their declaration, mixing matrices, matching and similarity."""
