"""One file a family: its config, what the network is, and the names of its parameters in checkpoints.

A file is found by being here and imports no torch. It ends in ``register(Family(...))``.
"""
