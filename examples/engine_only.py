"""The engine as a plain library: no server, no socket, the same batching and cancelling.

python examples/engine_only.py
"""

import asyncio

from wsproc import Engine, EngineConfig
from wsproc.engine import Delta

SENTENCES = [
    "I love this little harbour.",
    "The ferry leaves at noon.",
    "What an awful, noisy hotel.",
]


async def main() -> None:
    # Two of the four stages; "none" leaves one out, a folder or a Hub name takes another model.
    models = {"sentiment": "embedded", "generation": "embedded"}
    async with Engine(EngineConfig(models=models)) as engine:
        items = [{"text": sentence} for sentence in SENTENCES]
        async with engine.call("sentiment", items) as outcomes:
            async for outcome in outcomes.results():  # in whatever order they get ready
                value = outcome.value
                print(f"{value['sentiment']:<8} {value['confidence']:.2f}", SENTENCES[outcome.item])

        item = {"prompt": "The sea was calm and", "max_tokens": 500, "seed": 3}
        async with engine.call("generation", [item]) as outcomes:
            tokens = 0
            async for outcome in outcomes:
                if isinstance(outcome, Delta):
                    print(outcome.value["text"], end="", flush=True)
                    tokens += 1
                if tokens == 5:
                    break  # leaving the block cancels the call
        assert outcomes.end is not None
        print(
            f"\n{outcomes.end.reason} after {tokens} tokens: {outcomes.end.stop_ms:.0f} ms to stop"
        )


if __name__ == "__main__":
    asyncio.run(main())
