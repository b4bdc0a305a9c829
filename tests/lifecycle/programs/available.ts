/**
 * Opens networks where io_uring may be refused, and tells what it got: one line of JSON.
 *
 *   available.ts '{"attempts": [{"config": {...}, "room": 3}], "preload": true}'
 *
 * @module
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { BufferPool, Network, type NetworkConfig, NetworkError, probe } from "../../../mod.ts";
import { openSignals } from "./open_signals.ts";

/** The kind of network to try. */
interface Attempt {
  config: NetworkConfig;
  /** Descriptors left: all others are taken first. Without it, as many as there are. */
  room?: number;
}

const openDescriptors = () => readdirSync("/proc/self/fd");

/** Submission entries of the rings of this process, from what the kernel tells about them. */
function ringEntries(): number[] {
  const entries: number[] = [];
  for (const fd of openDescriptors()) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== "anon_inode:[io_uring]") continue;
      const info = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
      entries.push(Number.parseInt(/SqMask:\s*(\w+)/.exec(info)?.[1] ?? "", 16) + 1);
    } catch (error) {
      // The descriptor with which the folder was read is closed by now.
      if ((error as { code?: string }).code !== "ENOENT") throw error;
    }
  }
  return entries.sort((a, b) => a - b);
}

/** Takes all descriptors but `room`. Returns how to give them back. */
function occupy(room: number): () => void {
  const taken: number[] = [];
  for (let full = false; !full;) {
    try {
      taken.push(openSync("/dev/null", "r"));
    } catch (error) {
      full = (error as { code?: string }).code === "EMFILE";
      if (!full) throw error;
    }
  }
  for (let i = 0; i < room; i++) closeSync(taken.pop() as number);
  return () => taken.splice(0).forEach((fd) => closeSync(fd));
}

/** A message there and back: the network does not only start. */
async function echoes(network: Network): Promise<boolean> {
  const listener = await network.bind("127.0.0.1:0");
  const [client, server] = await Promise.all([
    network.dial(listener.localAddress),
    listener.accept(),
  ]);
  await client.sink.send("hello");
  await server.sink.send(await server.stream.recv(5));
  const back = await client.stream.recv(5);
  return new TextDecoder().decode(back.toUint8Array()) === "hello";
}

async function outcomeOf({ config, room }: Attempt) {
  const before = openDescriptors().length;
  const giveBack = room === undefined ? () => {} : occupy(room);
  const { supported, reason } = probe();
  const fallbacks: string[] = [];
  try {
    const network = await Network.start({
      ...config,
      onFallback: (reason) => void fallbacks.push(reason),
    });
    giveBack();
    const entries = ringEntries();
    const echoed = await echoes(network);
    await network.close();
    const { backend } = network;
    return { supported, reason, started: true, entries, echoed, backend, fallbacks };
  } catch (error) {
    giveBack();
    const left = openDescriptors().length - before;
    const { code, errno, operation, message } = error as NetworkError;
    const typed = error instanceof NetworkError;
    return { supported, reason, started: false, typed, code, errno, operation, message, left };
  }
}

openSignals();
const { attempts, preload } = JSON.parse(process.argv.at(-1) as string) as {
  attempts: Attempt[];
  preload: boolean;
};
// Loads the library while there are descriptors to do it with. A pool needs no io_uring.
if (preload) new BufferPool().alloc(100).release();
const outcomes: unknown[] = [];
for (const attempt of attempts) outcomes.push(await outcomeOf(attempt));
console.log(`<${JSON.stringify(outcomes)}>`);
