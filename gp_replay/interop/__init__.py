"""Other formats: documents in YAML and JSON."""

__all__: list[str] = []
