"""Extractive question answering: the files of questions, and how answers are scored."""
