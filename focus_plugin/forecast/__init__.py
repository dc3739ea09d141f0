"""The time, memory and disk that a command needs."""
