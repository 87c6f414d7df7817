"""The stream of a text job over plain HTTP, read with aiohttp; then one that is left early.

pip install aiohttp
wsproc serve --http-port 8000
python examples/http/stream.py            # or: ... http://HOST:PORT
"""

import asyncio
import json
import sys

import aiohttp

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"

TEXT = (
    "The view from the harbour was wonderful, and the soup was the best I ever had. "
    "The waiter, sadly, was slow and rude. We shall come back for the view all the same. "
    "Helen Ashworth owns the place since 2019."
)


async def process_text(session: aiohttp.ClientSession) -> None:
    payload = {
        "text": TEXT,
        "include_sentiment": True,
        "include_summary": True,
        "include_entities": True,
        "chunk_size": 80,
    }
    async with session.post(f"{URL}/process-stream", json=payload) as response:
        response.raise_for_status()
        async for line in response.content:
            data = json.loads(line)
            status = data["status"]
            if status == "sentiment_progress":
                chunk = data["chunk_result"]
                print(f"{data['progress']:4.0%}  chunk {chunk['chunk']}: {chunk['sentiment']}")
            elif status == "summarization_complete":
                print(f"summary: {data['summary']}")
            elif status == "entities_complete":
                print(f"entities: {', '.join(one['text'] for one in data['entities'])}")
            elif status == "completed":
                print(f"completed in {data['total_processing_time']} s")
            elif status == "error":
                print(f"error: {data['message']}")


async def generate_and_leave(session: aiohttp.ClientSession) -> None:
    """Leaving the block closes the connection, which stops the job on the server."""
    payload = {"prompt": "The old house stood", "max_tokens": 500}
    text = ""
    async with session.post(f"{URL}/generate-stream", json=payload) as response:
        response.raise_for_status()
        async for part in response.content.iter_any():
            text += part.decode()
            if len(text) > 40:
                break
    print(f"left after: {text!r}")


async def main() -> None:
    async with aiohttp.ClientSession() as session:
        await process_text(session)
        await generate_and_leave(session)


asyncio.run(main())
