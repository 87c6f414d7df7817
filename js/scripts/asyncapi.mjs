/** Prints what the AsyncAPI parser has to say of docs/asyncapi.yaml; its exit code tells of errors. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Parser } from "@asyncapi/parser";

const SEVERITIES = ["error", "warning", "info", "hint"];

const path = fileURLToPath(new URL("../../docs/asyncapi.yaml", import.meta.url));
const { diagnostics } = await new Parser().parse(await readFile(path, "utf8"), { source: path });
for (const { severity, code, message, path: place } of diagnostics) {
  console.log(`${SEVERITIES[severity]} ${code} at ${place.join(".") || "the top"}: ${message}`);
}
process.exitCode = diagnostics.some(({ severity }) => severity === 0) ? 1 : 0;
