"""The model card of a directory: ``README.md`` with metadata for the Hugging Face Hub."""
