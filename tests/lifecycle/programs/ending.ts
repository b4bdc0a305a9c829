/**
 * Ends in the way that its argument names, at a moment that its seed decides, with all kinds of
 * work in flight: echoes, a send that is stuck, a pending accept, connections that come and go.
 *
 *   ending.ts KIND SEED
 *
 * Prints the time right before it ends, so that the parent can tell how long that took.
 *
 * @module
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { type Connection, Network } from "../../../mod.ts";

const [kind, seed] = process.argv.slice(-2);
const topology = Number(seed) % 2 === 0 ? "shared" : "split";
if (kind === "plain") {
  writeSync(1, `<ending ${Date.now()}>\n`);
  process.exit(7);
}
// One send is stuck: closing waits so long for it.
const network = await Network.start({ ring: { topology }, shutdownTimeoutMs: 500 });
const listener = await network.bind("127.0.0.1:0");
const churned = await network.bind("127.0.0.1:0");
const message = new Uint8Array(4_096);
const open: Connection[] = [];
let ending = false;
let rounds = 0;
// A quick mixing of the seed: the first numbers of neighbouring seeds must differ.
let state = Math.imul(Number(seed) ^ 0x5bd1e995, 0x9e3779b1) >>> 0;

function random(max: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 0x1_0000_0000) * max);
}

async function echo(): Promise<void> {
  const connection = await listener.accept();
  open.push(connection);
  for (let data = await connection.stream.recvSome(); data !== null;) {
    await connection.sink.send(data);
    data = await connection.stream.recvSome();
  }
}

async function talk(): Promise<void> {
  const connection = await network.dial(listener.localAddress);
  open.push(connection);
  for (;;) {
    await connection.sink.send(message);
    (await connection.stream.recv(message.length)).release();
    rounds++;
  }
}

/** Connections that are made, used once and closed, one way or the other. */
async function churn(): Promise<void> {
  while (!ending) {
    const [client, server] = await Promise.all([
      network.dial(churned.localAddress),
      churned.accept(),
    ]);
    await client.sink.send(message);
    (await server.stream.recv(message.length)).release();
    if (random(2) === 0) client.reset();
    await Promise.all([client.close(), server.close()]);
  }
}

/** Errors of a network that was closed are the point of closing it. */
function expectClosed(error: { code?: string }): void {
  if (kind !== "close" || error.code !== "Closed") throw error;
}

/**
 * While one accepted connection owes an answer, those that owe none end, and dialed ones stay open:
 * they see that their peers have ended.
 */
function expectCutOff(error: { code?: string }): void {
  const cutOff = error.code === "SendFailed" || error.code === "RecvFailed";
  if (kind !== "close" || !cutOff) expectClosed(error);
}

function end(): void {
  if (rounds < 100) throw new Error("nothing happened");
  ending = true;
  writeSync(1, `<ending ${Date.now()}>\n`);
  if (kind === "exit") process.exit(7);
  if (kind === "throw") throw new Error("on purpose");
  if (kind === "rejection") void Promise.reject(new Error("on purpose"));
  if (kind === "close") {
    void network.close().then(() => {
      console.log("<closed>");
      process.exit(0);
    });
  }
  if (kind === "unref") {
    listener.unref();
    for (const connection of open) connection.unref();
  }
}

const count = 1 + random(50);
for (let i = 0; i < count; i++) {
  echo().catch(expectClosed);
  talk().catch(expectCutOff);
}
for (let i = random(4); i > 0; i--) churn().catch(expectClosed);
const stuck = await Promise.all([network.dial(listener.localAddress), listener.accept()]);
open.push(...stuck);
stuck[0].sink.send(new Uint8Array(24 << 20)).catch(expectCutOff);
stuck[0].stream.recv(100_000).catch(expectCutOff);
listener.accept().catch(expectClosed);
while (rounds < 100) await new Promise((resolve) => setTimeout(resolve, 1));
if (random(2) === 0) setTimeout(end, random(150));
else {void (async () => {
    // In the middle of a turn's reactions, where a timer never strikes.
    const [client, server] = await Promise.all([
      network.dial(churned.localAddress, { timeoutMs: null }),
      churned.accept(),
    ]);
    open.push(client, server);
    for (let i = random(500); i > 0; i--) {
      await client.sink.send(message);
      (await server.stream.recv(message.length)).release();
    }
    end();
  })();}
