"""Conditions under which training uses worker processes."""

from dataclasses import dataclass

__all__ = ["WorkerPolicy"]


@dataclass(frozen=True)
class WorkerPolicy:
    """Conditions under which training uses worker processes; no result depends on them.

    Parameters
    ----------
    seconds_to_spawn : float, default=1.2
        Least estimated seconds left for which workers are spawned.
    seconds_to_wake : float, default=0.25
        Least estimated seconds left for which existing idle workers are used.
    measured : float, default=0.05
        Seconds of training before the first estimate of the time left and of idle cores.
    look_again : float, default=1.0
        Seconds between two checks for idle cores.
    idle_share : float, default=0.5
        Fraction of a core that must be available for each worker.
    """

    seconds_to_spawn: float = 1.2
    seconds_to_wake: float = 0.25
    measured: float = 0.05
    look_again: float = 1.0
    idle_share: float = 0.5

    def is_worthwhile(self, seconds_left: float, has_idle_worker: bool) -> bool:
        """Whether workers pay off for the remaining seconds of training."""
        return seconds_left > (self.seconds_to_wake if has_idle_worker else self.seconds_to_spawn)

    def has_room(self, available: float, n_workers: int) -> bool:
        """Whether the available cores, including this process's own, suffice for the workers."""
        return available - 1 >= self.idle_share * n_workers
