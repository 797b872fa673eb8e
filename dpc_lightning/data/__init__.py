"""Images and labels: manifests, the image store, datasets, samplers, and the data module that wraps them.

Nothing is imported here, so that commands that only read or write files need neither torch nor Lightning.
"""

__all__: list[str] = []
