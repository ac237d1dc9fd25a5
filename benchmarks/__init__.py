"""Measurements: every figure that the documentation gives comes from here."""
