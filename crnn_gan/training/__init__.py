"""How every model trains: phases, and the training step of each backend."""
