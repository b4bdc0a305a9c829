/**
 * Measures how late a 10 ms interval is while 50 connections echo flat out in the same thread.
 *
 * @module
 */
import { Network } from "../../../mod.ts";

const DURATION_MS = 3_000;
/** On a slow machine it takes longer until there were so many. */
const TICKS_MIN = 50;
const ECHOES_MIN = 3_000;
const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
const message = new Uint8Array(64);
let stop = false;
let echoes = 0;

async function echo(): Promise<void> {
  await using connection = await listener.accept();
  for (let data = await connection.stream.recvSome(); data !== null;) {
    await connection.sink.send(data);
    data = await connection.stream.recvSome();
  }
}

async function talk(): Promise<void> {
  await using connection = await network.dial(listener.localAddress);
  while (!stop) {
    await connection.sink.send(message);
    (await connection.stream.recv(message.length)).release();
    echoes++;
  }
}

const all = Array.from({ length: 50 }, () => Promise.all([echo(), talk()]));
const late: number[] = [];
const start = performance.now();
let last = start;
const enough = Promise.withResolvers<void>();
const interval = setInterval(() => {
  const now = performance.now();
  late.push(now - last - 10);
  last = now;
  const isOver = now - start > DURATION_MS;
  if (isOver && late.length > TICKS_MIN && echoes > ECHOES_MIN) enough.resolve();
}, 10);
await enough.promise;
clearInterval(interval);
stop = true;
await Promise.all(all);
await network.close();
late.sort((a, b) => a - b);
const at = (part: number) => late[Math.min(Math.floor(late.length * part), late.length - 1)];
console.log(
  `<ticks ${late.length} echoes ${echoes} p50 ${at(0.5).toFixed(1)} p99 ${at(0.99).toFixed(1)} ` +
    `max ${at(1).toFixed(1)}>`,
);
