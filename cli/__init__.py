"""The command line: options, progress and error messages."""
