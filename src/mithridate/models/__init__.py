"""Adapters that turn a user's model into what an oracle asks of a model."""
