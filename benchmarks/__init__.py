"""Benchmarks: the commands behind the figures in the documentation."""
