"""One file for each command: from the user's files to a finished directory."""
