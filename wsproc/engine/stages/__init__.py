"""One file a capability; `stage.py` is the interface, `registry.py` builds them by name."""
