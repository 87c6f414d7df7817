"""Benchmarks: ratios of things that run in one go, on one machine, in turn."""
