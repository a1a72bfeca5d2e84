"""What people read: pure functions of a finished cassette or result."""

__all__: list[str] = []
