"""The I/O shells: sockets, threads and the one clock. They drive the core and hold no rules of their own."""

__all__: list[str] = []
