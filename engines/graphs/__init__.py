"""Graphs derived from the model: other precisions, fewer nodes, static shapes."""
