"""The optimizer ``focus_adam``, and which parameters have which learning rate."""
