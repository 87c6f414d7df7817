"""A server that restarts under its clients: nothing is lost, and nothing comes twice.

wsproc serve                         # in one terminal
python examples/reconnecting.py      # in another; then stop the server, and start it again

With the address of a server it runs until all its jobs are done. Watch it while you restart that.
"""

import asyncio
import sys

import wsproc

PROMPTS = [f"Chapter {n}: the harbour" for n in range(1, 9)]


def show(state: wsproc.ConnectionState) -> None:
    """Tell what happens to the connection; a program with a window would show a lamp."""
    match state.phase:
        case "reconnecting":
            print(f"\n-- lost ({state.cause}); try {state.tries} in {state.delay_s:.1f} s")
        case "open" if state.resumed is not None:
            print("-- back;", "the session goes on" if state.resumed else "its jobs run again")
        case phase:
            print(f"-- {phase}")


async def tell(client: wsproc.Client, prompt: str) -> str:
    """Read one generation token by token; it does not know of any of this."""
    job = await client.generate(prompt, max_tokens=120)
    pieces = [piece async for piece in job.tokens()]
    text = (await job.result()).text
    assert "".join(pieces) == text, "tokens joined are the text, whatever happened"
    again = f" (begun {job.restarts + 1} times)" if job.restarts else ""
    return f"{prompt}{again}:{text[:60]!r}..."


async def main(url: str) -> None:
    policy = wsproc.Reconnect(first_delay_s=0.2, max_delay_s=2, max_time_s=120)
    async with wsproc.connect(url, reconnect=policy, on_state=show) as client:
        for told in asyncio.as_completed([tell(client, prompt) for prompt in PROMPTS]):
            print(await told)
    print(f"{len(PROMPTS)} texts, each whole")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"))
