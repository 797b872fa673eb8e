"""What is bought and when, who answers, and the durable record of it. Imports nothing of `data/` and no Lightning."""

__all__: list[str] = []
