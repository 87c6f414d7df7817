"""Where models come from and how they are loaded: sources, devices, number formats."""
