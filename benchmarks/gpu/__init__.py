"""What the engine makes of one CUDA device, beside the device's own limits."""
