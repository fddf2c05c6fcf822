"""Measurements of speed: ratios against a plain implementation, side by side in one run."""
