"""Models, checkpoints and predictions that released versions have written."""
