/**
 * Makes src/frames.ts from docs/schema.json, and wsproc.js and wsproc.d.ts from src/.
 *
 * What is made is kept in the repository: a browser, a wheel and a reader want it as it is. With
 * --check nothing is written; what is not fresh is named, and the exit code says so.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "json-schema-to-typescript";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const ROOT = join(HERE, "..");
const FRAMES = join(HERE, "src", "frames.ts");
const INDEX = join(HERE, "src", "index.ts");
const CHECK = process.argv.includes("--check");

/** Names of the schema that mean something else in TypeScript. */
const RENAMED = { Error: "ErrorFrame" };

/** Return the frames as TypeScript. */
async function frames() {
  const { $defs } = JSON.parse(await readFile(join(ROOT, "docs", "schema.json"), "utf8"));
  const definitions = Object.entries($defs).map(([name, definition]) => {
    const title = RENAMED[name] ?? name;
    return [title, { ...definition, title }];
  });
  const anyOf = definitions.map(([title]) => ({ $ref: `#/$defs/${title}` }));
  const all = { title: "All", anyOf, $defs: Object.fromEntries(definitions) };
  const whole = JSON.stringify(all, (key, value) =>
    key === "default" ? undefined : value,
  ).replace(/"#\/\$defs\/(\w+)"/g, (_, name) => `"#/$defs/${RENAMED[name] ?? name}"`);
  const text = await compile(JSON.parse(whole), "All", {
    additionalProperties: false, // unknown fields must be ignored, so nobody may name them
    ignoreMinAndMaxItems: true,
    bannerComment:
      "/** Every frame of wsproc.v1, made from docs/schema.json by scripts/build.mjs. */",
    style: { printWidth: 100 },
  });
  return text
    .replace(/export type All =[^;]*;\n/, "")
    .replace(/ *\* This interface was referenced by.*\n *\* via the .*\n/g, "")
    .replace(/( *\*\n(?= *\*\/)| *\/\*\*\n *\*\/\n)/g, "");
}

/** Compile src/ into a folder. */
function tsc(folder) {
  const compiler = join(HERE, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, "-p", HERE, "--outDir", folder], { stdio: "inherit" });
}

/** Return the modules of a folder as one, to be read by people; what index.ts says of it comes first. */
async function bundle(input, plugins) {
  const built = await rollup({ input, plugins, onwarn: (warning) => fail(warning.message) });
  const [banner] = /^\/\*\*.*?\*\//s.exec(await readFile(INDEX, "utf8")) ?? [];
  const { output } = await built.generate({ format: "es", banner: `${banner}\n` });
  await built.close();
  const biome = join(HERE, "node_modules", "@biomejs", "biome", "bin", "biome");
  const name = input.endsWith(".d.ts") ? "made.d.ts" : "made.js";
  const options = { cwd: HERE, input: output[0].code, encoding: "utf8" };
  return execFileSync(process.execPath, [biome, "format", `--stdin-file-path=${name}`], options);
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}

/** Write a file, or with --check compare it. */
async function put(path, text) {
  const before = await readFile(path, "utf8").catch(() => null);
  if (before === text) return;
  if (CHECK) fail(`${relative(ROOT, path)} is not fresh: run \`make js\``);
  else await writeFile(path, text);
}

await put(FRAMES, await frames());
const folder = await mkdtemp(join(tmpdir(), "wsproc-js-"));
try {
  tsc(folder);
  const web = join(ROOT, "wsproc", "web");
  await put(join(web, "wsproc.js"), await bundle(join(folder, "index.js"), []));
  await put(join(web, "wsproc.d.ts"), await bundle(join(folder, "index.d.ts"), [dts()]));
} finally {
  await rm(folder, { recursive: true });
}
