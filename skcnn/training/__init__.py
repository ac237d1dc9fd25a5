"""Training of a network: epochs, mini-batches, and the processes that share them.

Files of version 0.1.0 know `TrainingState` by the name ``skcnn.training.TrainingState``.
"""

from skcnn.state import TrainingState

__all__ = ["TrainingState"]
