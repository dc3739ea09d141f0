"""Parallel text: reading it, aligning its words, and counting which words translate each other."""
