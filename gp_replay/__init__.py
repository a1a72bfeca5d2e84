"""Record real HTTP, SSE and WebSocket conversations once; replay them byte-faithfully and on time."""

__version__ = "0.1.0"
