/**
 * The declarations for users of TypeScript: the packed declarations, checked by tsc in strict mode
 * with a program that uses most of the surface, and without this project's own settings.
 *
 * @module
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";
import { emptyDirectory, pack, run, tool } from "./tools.ts";

const CONSUMER = `import {
  type Address, type BindOptions, BufferPool, BufferPoolConfig, type CallOptions,
  type Capabilities, type Connection, IOVEC_BATCH_SIZE, IoBuf, IoBufMut, IoBufs, type KeepAlive,
  Listener, Network, type NetworkConfig, NetworkError, type NetworkStats, probe, type Sendable,
  Sink, type SocketAddress, type SocketOptions, Stream, type UnixAddress,
} from "uringnet";

const capabilities: Capabilities = probe();
const batch: 32 = IOVEC_BATCH_SIZE;
const keepAlive: KeepAlive = { idleSeconds: 60, count: 3 };
const config: NetworkConfig = {
  tcpNoDelay: null, keepAlive, connectTimeoutMs: 1_000, readTimeoutMs: null,
  ring: { topology: "split", spin: false }, pool: BufferPoolConfig.forNetwork({ debug: true }),
  registry: { registerMetric(metric: unknown) { void metric; } }, backend: "auto",
};

async function serve(listener: Listener, options: CallOptions): Promise<void> {
  for await (const connection of listener) {
    await using held: Connection = connection;
    const sink: Sink = held.sink;
    const stream: Stream = held.stream;
    const exact: IoBufs = await stream.recv(4, options);
    const some: IoBuf | null = await stream.recvSome(16);
    const tried: IoBufs | null = stream.tryRecv(1);
    const peeked: Uint8Array = stream.peek(8);
    for await (const chunk of stream) peeked.set(chunk);
    const parts: Sendable[] = ["text", new ArrayBuffer(1), [new Uint8Array(1)], exact];
    for (const part of parts) await sink.send(part, { timeoutMs: null });
    if (some !== null) await sink.send(some.slice(0, 1));
    tried?.release();
    await sink.flush();
    held.setNoDelay();
    held.setKeepAlive(keepAlive);
    const readable: ReadableStream<Uint8Array> = held.readable;
    const writable: WritableStream<Uint8Array> = held.writable;
    const remote: SocketAddress | UnixAddress = held.remoteAddress;
    const where = "path" in remote ? remote.path : remote.port;
    console.log(readable.locked, writable.locked, where, sink.bytesSent);
    const zipped = held.readable.pipeThrough(new CompressionStream("gzip"));
    const text = held.readable.pipeThrough(new TextDecoderStream());
    console.log(zipped, text, new Response(held.readable));
  }
}

async function main(address: Address, bind: BindOptions): Promise<NetworkStats> {
  await using network: Network = await Network.start(config);
  const pool: BufferPool = new BufferPool({ maxPerClass: 8 });
  using buffer: IoBufMut = pool.alloc(16);
  const listener = await network.bind(address, bind);
  await serve(listener, { signal: AbortSignal.timeout(1_000) });
  const stats = network.stats();
  try {
    await network.dial({ hostname: "::1", port: 80 });
  } catch (error) {
    if (error instanceof NetworkError && error.code === "Timeout") console.log(error.bytesDone);
    // @ts-expect-error: there is no such code
    if (error instanceof NetworkError && error.code === "TimedOut") console.log(buffer.capacity);
  }
  // @ts-expect-error: unknown fields are refused
  await Network.start({ noDelay: true });
  // @ts-expect-error: numbers cannot be sent
  await (await network.dial("unix:/path")).sink.send(1);
  return stats;
}

/** What stands in for a connection needs no more than the interface has. */
class Counted implements Connection {
  readonly localAddress = { path: "" };
  readonly remoteAddress = { hostname: "::1", port: 1 };
  count = 0;
  constructor(readonly sink: Sink, readonly stream: Stream) {}
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> { return new ReadableStream(); }
  get writable(): WritableStream<Uint8Array> { return new WritableStream(); }
  peerFinished(): Promise<void> { return Promise.resolve(); }
  setNoDelay(on = true): void { void on; }
  setKeepAlive(options: boolean | KeepAlive): void { void options; }
  ref(): void { this.count++; }
  unref(): void { this.count--; }
  async close(): Promise<void> {}
  reset(): void {}
  readonly signal = new AbortController().signal;
  setOptions(options: SocketOptions): void { void options; }
  [Symbol.asyncDispose](): Promise<void> { return this.close(); }
}
const wrap = (connection: Connection): Connection =>
  new Counted(connection.sink, connection.stream);

/** What is accepted or dialed can be replaced by it. */
async function replaced(listener: Listener, network: Network): Promise<Connection[]> {
  let accepted = await listener.accept();
  accepted = wrap(accepted);
  let dialed = await network.dial("unix:/path");
  dialed = wrap(dialed);
  for await (let next of listener) next = wrap(next);
  return [accepted, dialed];
}
console.log(replaced);

console.log(capabilities.reason, batch, await main("127.0.0.1:0", { reusePort: true }));
`;

/** Needs the declarations of Node, whose types these subpaths have. */
const NODE_CONSUMER = `import { createServer, type Server, type Socket } from "node:net";
import ring, { connect, netNetwork, Socket as RingSocket } from "uringnet/net";
import type { AddressInfo, BlockList, NetConnectOpts, Server as RingServer } from "uringnet/net";
import { toDuplex, type ToDuplexOptions } from "uringnet/adapters/duplex";
import { Network, type NetworkStats } from "uringnet";

const module: { createServer: typeof createServer } = ring;
const server: Server = module.createServer({ noDelay: true }, (socket) => socket.end("x"));
const client: Socket = connect({ port: 1, host: "::1" }, () => client.setNoDelay());
class Own extends RingSocket {}
const typed: RingSocket = client;
const bound: RingServer = server;
const connectTo: NetConnectOpts = { port: (bound.address() as AddressInfo).port };
const blocked: BlockList = new ring.BlockList();
typed.once("close", () => connect(connectTo).end(String(blocked.check("::1", "ipv6"))));
const options: ToDuplexOptions = { allowHalfOpen: true, highWaterMark: 1 };
const network = await Network.start();
const duplex: Socket = toDuplex(await network.dial("unix:/path"), options);
const stats: NetworkStats = netNetwork().stats();
// @ts-expect-error: what is no connection is refused
toDuplex(client);
console.log(server.listen(0).address(), new Own().connecting, duplex.remotePort, stats);
`;

const SETTINGS = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  // Declarations are checked as well, not only used.
  skipLibCheck: false,
  noEmit: true,
  target: "ESNext",
  lib: ["ESNext", "DOM", "DOM.AsyncIterable"],
  types: [],
};

const MODULES = {
  bundler: { module: "ESNext", moduleResolution: "bundler" },
  nodenext: { module: "NodeNext", moduleResolution: "NodeNext" },
};

interface Context {
  base: ReturnType<typeof emptyDirectory>;
  app: string;
}

const test = suite<Context>("types of the package", {} as Context, { timeoutMs: 360_000 });

test.before(async (context) => {
  context.base = emptyDirectory();
  const tarball = await pack(context.base.path);
  context.app = join(context.base.path, "app");
  const installed = join(context.app, "node_modules", "uringnet");
  mkdirSync(installed, { recursive: true });
  const unpack = ["tar", "-xzf", tarball, "-C", installed, "--strip-components=1"];
  assert.is((await run(unpack, { cwd: context.app })).code, 0);
  const promClient = join(ROOT, "node_modules", "prom-client");
  symlinkSync(promClient, join(context.app, "node_modules", "prom-client"));
  writeFileSync(join(context.app, "package.json"), '{ "name": "app", "type": "module" }\n');
  writeFileSync(join(context.app, "consumer.ts"), CONSUMER);
  // Node's types are those of the checkout, with what they need.
  for (const name of ["@types", "undici-types"]) {
    symlinkSync(join(ROOT, "node_modules", name), join(context.app, "node_modules", name));
  }
  writeFileSync(
    join(context.app, "plain.ts"),
    'export { Network } from "uringnet";\n' +
      'export { connect } from "uringnet/adapters/deno";\n',
  );
  const metrics = 'import { Registry } from "prom-client";\nimport { Network } from "uringnet";\n' +
    "await Network.start({ registry: new Registry() });\n";
  writeFileSync(join(context.app, "metrics.ts"), metrics);
});

test.after((context) => {
  context.base[Symbol.dispose]();
});

for (const [name, settings] of Object.entries(MODULES)) {
  test(`tsc accepts a program that uses the surface (${name})`, async (context) => {
    const compilerOptions = { ...SETTINGS, ...settings };
    const text = JSON.stringify({ compilerOptions, files: ["consumer.ts"] });
    writeFileSync(join(context.app, "tsconfig.json"), text);
    const ran = await run([tool("tsc"), "-p", "."], { cwd: context.app });
    assert.is(ran.output, "");
    assert.is(ran.code, 0);
  });
}

/** Combinations of `lib` that the README says are enough, and one that lacks a part of it. */
const LIBRARIES: [lib: string[], types: string[], enough: boolean][] = [
  [["ES2018", "ESNext.Disposable", "DOM"], [], true],
  [["ES2018", "ESNext.Disposable", "WebWorker"], [], true],
  [["ESNext", "DOM"], [], true],
  [["ESNext"], ["node"], true],
  [["ESNext"], [], false],
  [["ES2024", "DOM"], [], false],
];

for (const [lib, types, enough] of LIBRARIES) {
  const named = [...lib, ...types.map((name) => `types of ${name}`)].join(", ");
  test(`the declarations ${enough ? "check" : "do not check"} with ${named}`, async (context) => {
    const compilerOptions = { ...SETTINGS, ...MODULES.bundler, lib, types };
    const text = JSON.stringify({ compilerOptions, files: ["plain.ts"] });
    writeFileSync(join(context.app, "tsconfig.json"), text);
    const ran = await run([tool("tsc"), "-p", "."], { cwd: context.app });
    const ours = ran.output.split("\n").filter((line) => line.includes("node_modules/uringnet/"));
    assert.is(ours.length === 0, enough, ran.output);
  });
}

test("the subpaths for Node's modules have the types of node:net", async (context) => {
  writeFileSync(join(context.app, "node.ts"), NODE_CONSUMER);
  const compilerOptions = { ...SETTINGS, ...MODULES.bundler, types: ["node"], skipLibCheck: true };
  const text = JSON.stringify({ compilerOptions, files: ["node.ts"] });
  writeFileSync(join(context.app, "tsconfig.json"), text);
  const ran = await run([tool("tsc"), "-p", "."], { cwd: context.app });
  assert.is(ran.output, "");
  assert.is(ran.code, 0);
});

test("the declarations have public members and reach no internal module", (context) => {
  const types = join(context.app, "node_modules", "uringnet", "types");
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    const text = readFileSync(join(types, path), "utf8");
    assert.not.match(text, /@internal/, path);
    for (const [, target] of text.matchAll(/ from "(\.[^"]*)\.js"/g)) {
      visit(join(dirname(path), `${target}.d.ts`));
    }
  };
  visit("mod.d.ts");
  // Inside these rooms, only the modules after `(?!` are public.
  const internal = new RegExp(
    "^src/(?:" + [
      "ring/(?!spinner)",
      "buf/(?:slot|slab|size_class|leak_tracker)",
      "net/(?:socket/|lifecycle/(?!network_core))",
      "metrics",
      "portable",
    ].join("|") + ")",
  );
  assert.ok(reached.size > 25, `${reached.size} modules`);
  assert.equal([...reached].filter((path) => internal.test(path)), []);
});

test("a registry of prom-client is accepted as it is", async (context) => {
  // prom-client's own declarations need those of Node, so they are not checked here.
  const compilerOptions = { ...SETTINGS, ...MODULES.bundler, skipLibCheck: true };
  const text = JSON.stringify({ compilerOptions, files: ["metrics.ts"] });
  writeFileSync(join(context.app, "tsconfig.json"), text);
  const ran = await run([tool("tsc"), "-p", "."], { cwd: context.app });
  assert.is(ran.output, "");
  assert.is(ran.code, 0);
});

test.run();
