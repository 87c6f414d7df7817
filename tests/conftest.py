"""What all tests share: hypothesis without a deadline, since machines are busy, one thread, and a
Ctrl-C that is heard.
"""

import os
import signal

from hypothesis import HealthCheck, settings

# Two threads that share a tiny model's work wait for each other most of the time, on a busy machine
# ten times as long as one takes alone. Read by torch at its import; workers get their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "wsproc", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("wsproc")

# A shell starts what it runs in the background with SIGINT ignored, and processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
