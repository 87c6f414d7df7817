/** Puts what the server serves into the package while it is packed: there is one wsproc.js. */

import { copyFile, rm } from "node:fs/promises";

const FILES = { "wsproc.js": "wsproc/web/", "wsproc.d.ts": "wsproc/web/", LICENSE: "" };
const after = process.argv.includes("--after");

for (const [name, folder] of Object.entries(FILES)) {
  const here = new URL(`../${name}`, import.meta.url);
  if (after) await rm(here);
  else await copyFile(new URL(`../../${folder}${name}`, import.meta.url), here);
}
