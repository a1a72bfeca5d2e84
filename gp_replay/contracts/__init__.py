"""Contracts: rules a conversation must keep, as data, and the engine that checks them, one message at a time."""

__all__: list[str] = []
