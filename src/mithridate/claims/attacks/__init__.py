"""Attacks on claim models: edits of what is billed, found by search, by a surrogate's gradient, or exactly."""
