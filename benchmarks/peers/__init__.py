"""The servers and the loop that wsproc is measured against: ours, small, and written fairly."""
