/**
 * Plays random programs over `uringnet/net`, and ends by itself: when the last socket of a program
 * is closed, the network must have nothing left, and nothing may keep the process alive.
 *
 *   deno run -A tests/stress/programs/net_programs.ts FIRST_SEED COUNT MS [native]
 *
 * MS is how long new programs are begun. With "native", the runtime's own module is tried.
 *
 * @module
 */
import process from "node:process";
import ring, { netNetwork } from "../../../src/adapters/net.ts";
import { patience } from "../../harness/time_limit.ts";
import { type Net, NetProgram } from "../../support/net_program.ts";

const PROGRAM_MS_MAX = patience(20_000);
const SETTLE_MS_MAX = patience(7_000);
const NOTHING = "[0,0,0]";

const [first, count, durationMs] = process.argv.slice(2, 5).map(Number);
const native = process.argv[5] === "native";
const builtin = (process as unknown as { getBuiltinModule(name: string): Net })
  .getBuiltinModule("node:net");
const net = native ? builtin : ring as unknown as Net;
// See "A half close of the peer during a send" in docs/PORTABLE.md.
const portable = native || netNetwork().backend === "portable";
const waits = portable && "Deno" in globalThis;
let seed = first;

function end(error: unknown): never {
  console.error(`seed ${seed}:`, error instanceof Error ? error.stack : error);
  process.exit(1);
}

process.on("uncaughtException", end);
process.on("unhandledRejection", end);

/** Also keeps the process alive, as a program whose sockets are all unreferenced does not. */
async function within(limitMs: number, done: () => boolean, what: () => string): Promise<void> {
  for (const from = performance.now(); !done();) {
    if (performance.now() - from > limitMs) end(new Error(what()));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The rest that the network has; a connection may linger for a moment. */
function left(): string {
  const { connections, sendsPending, receivesPending } = netNetwork().stats();
  return JSON.stringify([connections, sendsPending, receivesPending]);
}

const startedAt = performance.now();
for (; seed < first + count && performance.now() - startedAt < durationMs; seed++) {
  let done = false;
  const program = new NetProgram(net, seed, waits);
  const played = program.play().catch(end).finally(() => done = true);
  await within(PROGRAM_MS_MAX, () => done, () => `the program does not end:\n${program}`);
  await played;
  if (native) continue;
  const what = () => `connections, sends, receives left: ${left()}\n${program}`;
  await within(SETTLE_MS_MAX, () => left() === NOTHING, what);
}
if (!native) {
  // An open network keeps some buffers aside.
  await netNetwork().close();
  const { classes, leaked } = netNetwork().pool.stats();
  const buffers = classes.reduce((sum, { allocated }) => sum + allocated, 0);
  if (buffers + leaked > 0) end(new Error(`${buffers} buffers left, ${leaked} leaked`));
}
console.log(`played ${seed - first} programs`);
