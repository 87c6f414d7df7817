"""Many jobs at once on one connection: their frames interleave, each job has its own order.

wsproc serve                      # in one terminal
python examples/many_jobs.py      # in another
"""

import asyncio
import sys
import time

import wsproc

REVIEWS = [
    "The room was lovely, the breakfast was great and I would come again at once.",
    "I waited an hour for cold soup. A terrible evening, and an expensive one.",
    "The museum opens at nine and closes at five; the ticket costs twelve euros.",
    "My brother liked the film. I thought it was boring and far too long.",
    "Fantastic service, friendly people, and the best coffee in Lisbon!",
    "The parcel came on Tuesday as announced and was left with the neighbours.",
]


async def judge(client: wsproc.Client, number: int, text: str) -> str:
    """Run one job from its submit to its result."""
    try:
        job = await client.process(text, id=f"review-{number}", include_summary=False)
    except wsproc.JobRejected as rejected:
        return f"review-{number}: not taken ({rejected})"
    result = await job.result()
    return f"{job.id}: {result['sentiment']['overall_sentiment']:<8} {text}"


async def main(url: str) -> None:
    async with wsproc.connect(url) as client:
        texts = [REVIEWS[n % len(REVIEWS)] for n in range(60)]
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(judge(client, n, text)) for n, text in enumerate(texts, start=1)
            ]
        seconds = time.perf_counter() - begun
        for task in tasks[: len(REVIEWS)]:
            print(task.result())
        print(f"... {len(tasks)} jobs on one connection in {seconds:.2f} s")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"))
