"""Rules by which a training asks for worker processes."""

from dataclasses import dataclass

__all__ = ["WorkerPolicy"]


@dataclass(frozen=True)
class WorkerPolicy:
    """Rules by which a training asks for worker processes; no bit depends on them.

    Parameters
    ----------
    seconds_to_spawn : float, default=1.2
        Seconds that the training must still take for processes to be spawned.
    seconds_to_wake : float, default=0.25
        Seconds that it must still take where there are idle workers.
    measured : float, default=0.05
        Seconds of training from which that is estimated, and the machine's idle cores.
    look_again : float, default=1.0
        Seconds after which idle cores are counted again where there were too few.
    idle_share : float, default=0.5
        Share of a core that must be idle, or used by this process, for each process.
    """

    seconds_to_spawn: float = 1.2
    seconds_to_wake: float = 0.25
    measured: float = 0.05
    look_again: float = 1.0
    idle_share: float = 0.5

    def is_worthwhile(self, seconds_left: float, has_idle_worker: bool) -> bool:
        """Whether a training that takes so much longer should get workers."""
        return seconds_left > (self.seconds_to_wake if has_idle_worker else self.seconds_to_spawn)

    def has_room(self, available: float, n_workers: int) -> bool:
        """Whether that many cores, this process's own among them, have room for workers."""
        return available - 1 >= self.idle_share * n_workers
