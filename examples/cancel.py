"""Stop a job in the middle, and see that the server really stops.

wsproc serve                      # in one terminal
python examples/cancel.py         # in another
"""

import asyncio
import sys

import wsproc
from wsproc.frames.server import Token


async def main(url: str) -> None:
    async with wsproc.connect(url) as client:
        job = await client.generate("Once upon a time", max_tokens=1000, seed=1)
        tokens = 0
        async for event in job:
            if isinstance(event, Token):
                print(event.text, end="", flush=True)
                tokens += 1
                if tokens == 5:
                    break  # this alone stops nothing: the job is still ours

        reply = await job.cancel()  # {"type": "cancel", "id": "..."} on the wire
        print(f"\n\nafter {tokens} tokens, asked to stop: {reply.outcome}")
        try:
            await job.result()
        except wsproc.JobCancelled as cancelled:
            kept = cancelled.partial_result["text"]
            stop = cancelled.done.timing_ms.stop
            print(f"stopped ({cancelled.reason}); the device was free {stop:.0f} ms later")
            print(f"kept of it: {kept!r}")
        else:
            print("it had come to its own end just before")

        # Whoever gives up stops the work too: a timeout sends the same cancel.
        job = await client.generate("Twice upon a time", max_tokens=1000, seed=1)
        try:
            async with asyncio.timeout(0.02):
                await job.result()
        except TimeoutError:
            print(f"\nthe second one took too long: {(await job.wait()).status}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"))
