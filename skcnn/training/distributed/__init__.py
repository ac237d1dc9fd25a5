"""Worker processes that join a training."""
