"""Threads, shared memory and waiting, independent of networks."""
