"""A plain script, without `async`: one text, a stream of tokens, many texts, a timeout.

wsproc serve                     # in one terminal
python examples/blocking.py      # in another; Ctrl-C stops the job that is waited for
"""

import sys

import wsproc

TEXT = """The harbour festival was a wonderful day for the whole town. The music was lovely, and the
food was the best in years. The way home was awful, though: the last train was two hours late."""


def main(url: str) -> None:
    with wsproc.connect_sync(url) as client:
        result = client.process(TEXT, split="sentence", chunk_size=80).result()
        print("over all:", result.sentiment)
        for chunk in result.chunks:
            print(f"  {chunk.sentiment:<8} {chunk.confidence:.2f}  {' '.join(chunk.text.split())}")

        print("\ngenerated:", end="")
        for token in client.generate("The old house stood", max_tokens=20, seed=7).tokens():
            print(token, end="", flush=True)

        print("\n\none after the other, many at once:")
        for result in client.map(TEXT.split(". "), include_summary=False):
            print(f"  {result.sentiment:<8} {' '.join(result.text.split())}")

        try:
            client.generate("A very long story", temperature=0, max_tokens=400).result(timeout=0.02)
        except TimeoutError:
            print("\nthe last one took too long, and was stopped on the server")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765")
