"""Configuration of a training."""

from dataclasses import dataclass

import numpy as np

from skcnn.optimizers import Optimizer
from skcnn.schedules import Constant, Schedule

__all__ = ["TrainingConfig"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Configuration of a training, under the names of the estimators' parameters.

    Parameters
    ----------
    optimizer : Optimizer
    lr, weight_decay : float
    batch_size, max_iter : int
    shuffle : bool
    tol : float
    n_iter_no_change : int or None
    max_bytes : float
        Memory that each thread's arrays may take.
    lr_schedule : Schedule
    restart_schedule : bool
        Whether the schedule counts epochs from the start of this training
        rather than from the model's first.
    max_grad_norm : float or None
    """

    optimizer: Optimizer
    lr: float
    weight_decay: float
    batch_size: int
    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: int | None
    max_bytes: float = np.inf
    lr_schedule: Schedule = Constant()
    restart_schedule: bool = False
    max_grad_norm: float | None = None
