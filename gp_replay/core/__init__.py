"""The pure core: no sockets, files, clock, environment, randomness or logging. Time is always an argument."""

__all__: list[str] = []
