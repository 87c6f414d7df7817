/** A submit as somebody would send it from elsewhere: by hand, from Python, from JavaScript. Pure. */

const INDENT = "    ";

/** A line for a shell that sends the frame with wscat and shows what comes for ten seconds. */
export function asWscat(frame, url) {
  return `npx wscat@6 -c ${shell(url)} -x ${shell(JSON.stringify(frame))} -w 10`;
}

/** A Python program that runs the job and prints its result. */
export function asPython(frame, url) {
  const { type, id: _, ...fields } = frame;
  const given = Object.entries(fields).map(
    ([name, value]) => `${INDENT.repeat(3)}${name}=${python(value)},\n`,
  );
  return `import asyncio

import wsproc


async def main():
    async with wsproc.connect(${python(url)}) as client:
        job = await client.submit(
            ${python(type)},
${given.join("")}        )
        async for event in job:
            print(event)
        print(await job.result())


asyncio.run(main())
`;
}

/** A module for a page, or for Node with \`npm install wsproc\`, that runs the job. */
export function asJavaScript(frame, url) {
  const { type, id: _, ...fields } = frame;
  const from = `${url.replace(/^ws/, "http").replace(/\/$/, "")}/wsproc.js`;
  return `import { connect } from ${JSON.stringify(from)}; // in Node: from "wsproc"

const client = await connect(${JSON.stringify(url)});
const job = client.submit(${JSON.stringify(type)}, ${JSON.stringify(fields, null, 2)});
for await (const event of job) console.log(event);
console.log(await job.result);
await client.close();
`;
}

/** Quote a word for a POSIX shell. */
function shell(word) {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Write a JSON value as a Python literal. JSON's escapes are Python's too. */
function python(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") {
    const pairs = Object.entries(value).map(([key, inner]) => `${python(key)}: ${python(inner)}`);
    return `{${pairs.join(", ")}}`;
  }
  return JSON.stringify(value);
}
