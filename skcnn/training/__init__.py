"""Training of a network: epochs, mini-batches, and the processes that share them.

Models stored by version 0.1.0 refer to `TrainingState` as ``skcnn.training.TrainingState``.
"""

from skcnn.state import TrainingState

__all__ = ["TrainingState"]
