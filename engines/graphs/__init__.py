"""Derive graphs from the model: other precisions, fewer nodes, static shapes."""
