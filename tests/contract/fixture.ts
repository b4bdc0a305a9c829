/**
 * The common parts of the contract's tests: networks that are checked when they close, connected
 * pairs, and bytes whose every position can be told.
 *
 * @module
 */
import { readlinkSync } from "node:fs";
import process from "node:process";
import {
  type Address,
  type BindOptions,
  type Connection,
  type IoBuf,
  type Listener,
  Network,
  type NetworkConfig,
  type NetworkError,
} from "../../mod.ts";
import { assert, bytesEqual, patience, Random, type Suite } from "../harness.ts";

/** Limits of waits that should not take any time at all. */
export const SOON_MS = patience(15_000);

export interface ContractContext extends Record<string, unknown> {
  /** The network of the suite, with the suite's configuration and nothing else. */
  network: Network;
  /** Descriptors of this process before it. */
  descriptors: Map<string, string>;
}

export type ContractSuite = Suite<ContractContext>;

/** A network of a test's own. Disposing of it closes it and checks that nothing is left. */
export interface OwnNetwork extends AsyncDisposable {
  network: Network;
}

export async function started(config: NetworkConfig): Promise<OwnNetwork> {
  const network = await Network.start(config);
  return { network, [Symbol.asyncDispose]: () => closeChecked(network) };
}

/** Buffers in use, over all classes. */
export function allocated(network: Network): number {
  return network.pool.stats().classes.reduce((sum, { allocated }) => sum + allocated, 0);
}

/** Closes a network whose connections are closed, and checks that it got everything back. */
export async function closeChecked(network: Network): Promise<void> {
  await network.close();
  const { connections, sendsPending, receivesPending } = network.stats();
  assert.equal({ connections, sendsPending, receivesPending }, {
    connections: 0,
    sendsPending: 0,
    receivesPending: 0,
  }, "what a closed network still counts");
  assert.is(allocated(network), 0, "pool buffers that were not given back");
}

/** Two ends of one connection, and the listener between them. */
export class Pair implements AsyncDisposable {
  constructor(
    readonly client: Connection,
    readonly server: Connection,
    readonly listener: Listener,
  ) {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.reset();
    this.server.reset();
    await Promise.all([this.client.close(), this.server.close(), this.listener.close()]);
  }
}

/** Connects `dialer` (default: the same network) to `network`. */
export async function connect(
  network: Network,
  address: Address = "127.0.0.1:0",
  dialer: Network = network,
): Promise<Pair> {
  const listener = await network.bind(address);
  const [client, server] = await Promise.all([
    dialer.dial(listener.localAddress),
    listener.accept(),
  ]);
  return new Pair(client, server, listener);
}

/** Ports that are tried where another process may have the same one for the other family. */
const PORT_TRY_COUNT = 30;

/**
 * Listeners for IPv4 and for IPv6 alone on one port. Without the first, the port might belong to
 * another process: the kernel gives a port to both families.
 */
export async function bindFamilies(
  network: Network,
): Promise<{ four: Listener; six: Listener; port: number }> {
  for (let i = 1;; i++) {
    const four = await network.bind("127.0.0.1:0");
    const { port } = four.localAddress as { port: number };
    try {
      return { four, six: await network.bind(`[::]:${port}`, { ipv6Only: true }), port };
    } catch (error) {
      await four.close();
      if ((error as NetworkError).errno !== "EADDRINUSE" || i === PORT_TRY_COUNT) throw error;
    }
  }
}

/** A listener on one loopback address, on a port on which no socket listens at the other one. */
export async function bindAlone(
  network: Network,
  own: string,
  other: string,
  options: BindOptions = {},
): Promise<Listener> {
  for (let i = 1; i < PORT_TRY_COUNT; i++) {
    const listener = await network.bind({ hostname: own, port: 0 }, options);
    const { port } = listener.localAddress as { port: number };
    const dialed = await network.dial({ hostname: other, port }).catch(() => null);
    if (dialed === null) return listener;
    await Promise.all([dialed.close(), listener.close()]);
  }
  throw new Error(`${PORT_TRY_COUNT} ports of ${own} were taken at ${other}`);
}

/** Bytes without a short period: a lost, doubled or moved byte is noticed. */
export function pattern(length: number, seed = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = (seed * 0x9e3779b9 + 0x1234567) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Receives exactly `expected` and compares. */
export async function expectBytes(
  connection: Connection,
  expected: Uint8Array,
  message?: string,
): Promise<void> {
  const received = await connection.stream.recv(expected.length, {
    timeoutMs: patience(20_000),
  });
  bytesEqual(received.toUint8Array(), expected, message);
}

/** Receives exactly this text. */
export async function expectText(connection: Connection, text: string): Promise<void> {
  const { length } = new TextEncoder().encode(text);
  const received = await connection.stream.recv(length, { timeoutMs: SOON_MS });
  assert.is(received.text(), text);
}

/** Everything up to the end of the stream. */
export async function readAll(connection: Connection): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const part of connection.stream) parts.push(part);
  return concat(parts);
}

/** The stream has ended, cleanly and for good. */
export async function expectEnd(connection: Connection): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const end: IoBuf | null = await connection.stream.recvSome(1, { timeoutMs: SOON_MS });
    assert.is(end, null, "the end of the stream");
  }
}

/** Both directions carry bytes. */
export async function expectAlive(pair: { client: Connection; server: Connection }): Promise<void> {
  await Promise.all([pair.client.sink.send("there"), pair.server.sink.send("back again")]);
  await expectText(pair.server, "there");
  await expectText(pair.client, "back again");
}

/** Waits for something that has no event, such as a number of the pool. */
export async function until(
  condition: () => boolean,
  what: string,
  limitMs: number = SOON_MS,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Never true: ${what}`);
    await pause(1);
  }
}

/** Lets time pass: only where the claim is that nothing happens, or that it takes so long. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Parts of a wait, each a timer of its own: whatever is late meanwhile has several chances. */
const WAIT_PARTS = 5;

/** Whether a promise is settled after the runtime had several chances to settle it. */
export async function settlesWithin(
  promise: Promise<unknown>,
  limitMs: number,
): Promise<boolean> {
  let isSettled = false;
  const settle = () => void (isSettled = true);
  const settled = promise.then(settle, settle);
  for (let part = 0; part < WAIT_PARTS && !isSettled; part++) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs / WAIT_PARTS);
    });
    await Promise.race([settled, late]);
    clearTimeout(timer);
  }
  return isSettled;
}

const STEP_MS = 5;

/**
 * How long a promise takes to settle, counted in short timers. A machine that stands still adds no
 * more than one of them, so an upper bound of this is no claim about the machine.
 */
export async function countedMs(promise: Promise<unknown>): Promise<number> {
  let isSettled = false;
  const settle = () => void (isSettled = true);
  promise.then(settle, settle);
  let steps = 0;
  for (; !isSettled; steps++) await pause(STEP_MS);
  return steps * STEP_MS;
}

/** The target of a descriptor, or null when it is not open. */
type ReadLink = (fd: number) => string | null;

/** Deno shows `/proc/self/fd` only with all permissions; the C library asks for none but FFI. */
function readLinkInDeno(): ReadLink {
  // deno-lint-ignore no-explicit-any
  const { dlopen } = (globalThis as any).Deno;
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const table = { readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" } };
  let libc;
  try {
    libc = dlopen("libc.so.6", table);
  } catch {
    libc = dlopen(`libc.musl-${machine}.so.1`, table);
  }
  const target = new Uint8Array(256);
  return (fd) => {
    const path = new TextEncoder().encode(`/proc/self/fd/${fd}\0`);
    const length = Number(libc.symbols.readlink(path, target, BigInt(target.length)));
    return length < 0 ? null : new TextDecoder().decode(target.subarray(0, length));
  };
}

const readLink: ReadLink = "Deno" in globalThis ? readLinkInDeno() : (fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
};

/** Highest descriptor number that is looked at, plus one. */
const DESCRIPTOR_END = 4_096;

/** Sockets, rings and their like of this process: number to what it is. Files are left out. */
export function descriptors(): Map<string, string> {
  const found = new Map<string, string>();
  for (let fd = 0; fd < DESCRIPTOR_END; fd++) {
    const target = readLink(fd);
    if (target !== null && !target.startsWith("/")) found.set(String(fd), target);
  }
  return found;
}

/** Looks in a row that find the same number. */
const SETTLED_LOOKS = 4;

/** The number of descriptors, once what closes late has closed. */
export async function settledDescriptors(): Promise<number> {
  for (let [last, same] = [-1, 0];;) {
    const { size } = descriptors();
    same = size === last ? same + 1 : 0;
    if (same === SETTLED_LOOKS) return size;
    last = size;
    await pause(10);
  }
}

/** Checks that no descriptor was added. The runtimes close some of theirs a little later. */
export async function expectNoNewDescriptors(before: Map<string, string>): Promise<void> {
  const end = performance.now() + SOON_MS;
  let now = descriptors();
  while (now.size > before.size && performance.now() < end) {
    await pause(10);
    now = descriptors();
  }
  if (now.size <= before.size) return;
  const added = [...now].filter(([fd, target]) => before.get(fd) !== target);
  const list = added.map(([fd, target]) => `${fd} -> ${target}`).join(", ");
  throw new Error(`Descriptors grew from ${before.size} to ${now.size}: ${list}`);
}

/** A path for a socket, short and new. */
export function socketPath(random: Random = new Random()): string {
  return `/tmp/uringnet-${random.next().toString(36)}${random.next().toString(36)}.sock`;
}
