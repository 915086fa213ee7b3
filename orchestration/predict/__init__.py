"""Predict: trains the models of `ml/` on what is published, keeps their versions, and writes what they say."""
