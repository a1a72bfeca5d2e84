"""One suite against Docker, staging or cassettes: which source answers, where that is, and what a run came to. Pure."""

__all__: list[str] = []
