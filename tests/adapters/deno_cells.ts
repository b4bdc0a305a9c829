/**
 * The behaviour of `Deno.connect` and `Deno.listen`, cell by cell: each scenario is run against an
 * implementation and returns plain data. In Deno the runtime's own is run as well, so that the
 * expectations are those of the runtime and not of a memory of it.
 *
 * @module
 */
import { rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface NetAddr {
  transport: string;
  hostname: string;
  port: number;
}

export interface Conn extends Disposable {
  localAddr: NetAddr;
  remoteAddr: NetAddr;
  read(p: Uint8Array): Promise<number | null>;
  write(p: Uint8Array): Promise<number>;
  close(): void;
  closeWrite(): Promise<void>;
  ref(): void;
  unref(): void;
  setNoDelay(on?: boolean): void;
  setKeepAlive(on?: boolean): void;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

export interface Listener extends Disposable, AsyncIterable<Conn> {
  addr: NetAddr;
  accept(): Promise<Conn>;
  next(): Promise<IteratorResult<Conn>>;
  return(): Promise<IteratorResult<Conn>>;
  close(): void;
  ref(): void;
  unref(): void;
}

type ErrorClass = new (message?: string) => Error;

/** `Deno` itself, or the adapter. */
export interface Api {
  connect(options: Record<string, unknown>): Promise<Conn>;
  listen(options: Record<string, unknown>): Listener;
  errors: Readonly<Record<string, ErrorClass>>;
}

/** A connected pair and its listener, closed afterwards whatever was closed before. */
interface Ends {
  api: Api;
  client: Conn;
  server: Conn;
  listener: Listener;
}

type Scenario = (api: Api) => unknown;

export interface Cell {
  name: string;
  run: Scenario;
  expected: unknown;
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const memory = (length: number) => new Uint8Array(length);

/** Name, code and message of what a call throws or rejects with; its value when it does not. */
async function outcome(api: Api, call: () => unknown): Promise<unknown> {
  try {
    return await call() ?? null;
  } catch (thrown) {
    const error = thrown as Error & { code?: unknown };
    const known = api.errors[error.name];
    const own = known === undefined ? "" : error instanceof known ? " of errors" : " imitated";
    const code = typeof error.code === "string" ? ` ${error.code}` : "";
    return `${error.name}${own}${code}: ${error.message}`;
  }
}

/** As `outcome`, of a call that must not return a promise. */
function outcomeNow(api: Api, call: () => unknown): Promise<unknown> {
  return outcome(api, () => {
    const value = call();
    if (value instanceof Promise) throw new Error("a promise was returned");
    return value;
  });
}

async function pair(api: Api, body: (ends: Ends) => Promise<unknown>): Promise<unknown> {
  using listener = api.listen({ hostname: "127.0.0.1", port: 0 });
  using client = await api.connect({ port: listener.addr.port });
  using server = await listener.accept();
  return await body({ api, client, server, listener });
}

const paired = (body: (ends: Ends) => Promise<unknown>): Scenario => (api) => pair(api, body);

/** Listens, runs the body, and closes what is still open. */
const listening = (body: (listener: Listener, api: Api) => unknown): Scenario => async (api) => {
  using listener = api.listen({ hostname: "127.0.0.1", port: 0 });
  return await body(listener, api);
};

/** The error of `listen`, or the address that it listens on. */
const listenOutcome = (options: Record<string, unknown>): Scenario => (api) =>
  outcomeNow(api, () => {
    using listener = api.listen(options);
    return listener.addr.hostname ?? listener.addr;
  });

const connectOutcome = (options: Record<string, unknown>): Scenario => (api) =>
  outcome(api, async () => {
    using _conn = await api.connect(options);
    return "connected";
  });

const socketPath = () => join(tmpdir(), `uringnet-${crypto.randomUUID()}.sock`);

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

async function untilClosedByPeer({ client }: Ends): Promise<void> {
  for (;;) {
    if (await client.read(memory(64)) === null) return;
  }
}

/** Writes until the peer's reset has arrived. */
async function writeUntilBroken(api: Api, conn: Conn): Promise<unknown> {
  for (;;) {
    const result = await outcome(api, () => conn.write(bytes(1)));
    if (result !== 1) return result;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const BAD = "BadResource of errors: Bad resource ID";
const CONSUMED = "BadResource of errors: The stream's underlying resource was closed or consumed";
const INTERRUPTED = "Interrupted of errors EINTR: operation canceled";
const BROKEN = "BrokenPipe of errors EPIPE: Broken pipe (os error 32)";
const RESET = "ConnectionReset of errors ECONNRESET: Connection reset by peer (os error 104)";
const LISTENER_CLOSED = "BadResource of errors: Listener has been closed";

export const CELLS: readonly Cell[] = [
  {
    name: "read and write carry bytes, and say how many",
    run: paired(async ({ client, server }) => {
      const sent = await client.write(bytes(1, 2, 3));
      const target = memory(8);
      const received = await server.read(target);
      return [sent, received, [...target]];
    }),
    expected: [3, 3, [1, 2, 3, 0, 0, 0, 0, 0]],
  },
  {
    name: "addresses have transport, hostname and port",
    run: paired(({ client, server, listener }) =>
      Promise.resolve([
        Object.keys(client.localAddr).sort(),
        client.localAddr.transport,
        client.remoteAddr.hostname,
        client.remoteAddr.port === listener.addr.port,
        client.localAddr.port === server.remoteAddr.port,
      ])
    ),
    expected: [["hostname", "port", "transport"], "tcp", "127.0.0.1", true, true],
  },
  {
    name: "memory of length 0 is read and written at once",
    run: paired(async (
      { client },
    ) => [await client.read(memory(0)), await client.write(memory(0))]),
    expected: [0, 0],
  },
  {
    name: "two reads at a time are served in order",
    run: paired(async ({ client, server }) => {
      const first = memory(2), second = memory(2);
      const reads = [server.read(first), server.read(second)];
      await client.write(bytes(1, 2, 3, 4));
      return [await reads[0], await reads[1], [...first], [...second]];
    }),
    expected: [2, 2, [1, 2], [3, 4]],
  },
  {
    name: "what is not a typed array is refused with TypeError",
    run: paired(async ({ api, client }) => [
      await outcome(api, () => client.write("abc" as never)),
      await outcome(api, () => client.write(undefined as never)),
      await outcome(api, () => client.write(new DataView(new ArrayBuffer(3)) as never)),
      await outcome(api, () => client.read(new ArrayBuffer(8) as never)),
    ]),
    expected: Array(4).fill("TypeError: expected typed ArrayBufferView"),
  },
  {
    name: "the end of the stream is null, again and again",
    run: paired(async ({ client, server }) => {
      await client.closeWrite();
      return [await server.read(memory(3)), await server.read(memory(3))];
    }),
    expected: [null, null],
  },
  {
    name: "closeWrite is idempotent, and the other direction stays open",
    run: paired(async ({ client, server }) => {
      await client.closeWrite();
      await client.closeWrite();
      await server.write(bytes(7));
      const target = memory(1);
      return [await client.read(target), target[0]];
    }),
    expected: [1, 7],
  },
  {
    name: "a write after closeWrite gets BrokenPipe",
    run: paired(async ({ api, client }) => {
      await client.closeWrite();
      return await outcome(api, () => client.write(bytes(1)));
    }),
    expected: BROKEN,
  },
  {
    name: "writes to a peer that has gone end with BrokenPipe, reads with null",
    run: paired(async ({ api, client, server }) => {
      client.close();
      const written = await writeUntilBroken(api, server);
      return [written, await server.read(memory(1)), await outcome(api, () => server.closeWrite())];
    }),
    expected: [BROKEN, null, null],
  },
  {
    name: "close is synchronous, and a pending read gets Interrupted",
    run: paired(async ({ api, client }) => {
      const read = outcome(api, () => client.read(memory(1)));
      await null;
      return [await outcomeNow(api, () => client.close()), await read];
    }),
    expected: [null, INTERRUPTED],
  },
  {
    name: "whatever is called after close gets BadResource",
    run: paired(async ({ api, client }) => {
      client.close();
      return [
        await outcomeNow(api, () => client.close()),
        await outcome(api, () => client.read(memory(1))),
        await outcome(api, () => client.write(bytes(1))),
        await outcome(api, () => client.closeWrite()),
        await outcomeNow(api, () => client.setNoDelay()),
        await outcomeNow(api, () => client.setKeepAlive()),
      ];
    }),
    expected: Array(6).fill(BAD),
  },
  {
    name: "dispose, ref, unref and the addresses work after close",
    run: paired(async ({ api, client, listener }) => {
      client.close();
      return [
        await outcomeNow(api, () => client[Symbol.dispose]()),
        await outcomeNow(api, () => client.ref()),
        await outcomeNow(api, () => client.unref()),
        client.remoteAddr.port === listener.addr.port,
      ];
    }),
    expected: [null, null, null, true],
  },
  {
    name: "options of the socket take anything that is true or false",
    run: paired(async ({ api, client }) => [
      await outcomeNow(api, () => client.setNoDelay()),
      await outcomeNow(api, () => client.setNoDelay(false)),
      await outcomeNow(api, () => client.setNoDelay("yes" as never)),
      await outcomeNow(api, () => client.setKeepAlive(true)),
      await outcomeNow(api, () => client.setKeepAlive(false)),
    ]),
    expected: [null, null, null, null, null],
  },
  {
    name: "readable and writable are made once, and readable is a byte stream",
    run: paired(async ({ client, server }) => {
      await server.write(bytes(1, 2, 3));
      const { readable, writable } = client;
      const reader = readable.getReader({ mode: "byob" });
      const { value } = await reader.read(memory(2));
      reader.releaseLock();
      const made = [client.readable === readable, client.writable === writable];
      return [...made, [...value ?? []]];
    }),
    expected: [true, true, [1, 2]],
  },
  {
    name: "the end of readable closes the connection",
    run: paired(async ({ api, client, server }) => {
      await server.write(bytes(1, 2));
      server.close();
      const received: number[] = [];
      for await (const chunk of client.readable) received.push(...chunk);
      return [received, await outcomeNow(api, () => client.close())];
    }),
    expected: [[1, 2], BAD],
  },
  {
    name: "cancelling readable closes the connection",
    run: paired(async ({ api, client, server }) => {
      await client.readable.cancel();
      return [
        await outcomeNow(api, () => client.close()),
        await server.read(memory(1)),
      ];
    }),
    expected: [BAD, null],
  },
  {
    name: "a reset that readable meets closes the connection",
    run: listening(async (listener, api) => {
      const peer = connect(listener.addr.port, "127.0.0.1");
      await new Promise<void>((resolve) => peer.once("connect", resolve));
      using server = await listener.accept();
      const pending = outcome(api, () => server.readable.getReader().read());
      peer.resetAndDestroy();
      return [await pending, await outcomeNow(api, () => server.close())];
    }),
    expected: [RESET, BAD],
  },
  {
    name: "closing writable sends what was written and closes the connection",
    run: paired(async ({ api, client, server }) => {
      const writer = client.writable.getWriter();
      await writer.write(bytes(5));
      await writer.close();
      const target = memory(2);
      return [
        await outcome(api, () => client.read(memory(1))),
        await server.read(target),
        target[0],
        await server.read(target),
      ];
    }),
    expected: [BAD, 1, 5, null],
  },
  {
    name: "aborting writable closes the connection",
    run: paired(async ({ api, client, server }) => {
      await client.writable.abort("reason");
      return [await outcome(api, () => client.write(bytes(1))), await server.read(memory(1))];
    }),
    expected: [BAD, null],
  },
  {
    name: "writable refuses what is not bytes",
    run: paired(async ({ api, client }) => {
      const writer = client.writable.getWriter();
      return [
        await outcome(api, () => writer.write("text" as never)),
        await outcome(api, () => writer.closed),
        await outcomeNow(api, () => client.close()),
      ];
    }),
    expected: [
      "TypeError: Expected ArrayBuffer or ArrayBufferView for write chunk",
      "TypeError: Expected ArrayBuffer or ArrayBufferView for write chunk",
      BAD,
    ],
  },
  {
    name: "streams of a closed connection say so",
    run: paired(async ({ api, client, server }) => {
      const reader = client.readable.getReader();
      const pending = outcome(api, () => reader.read());
      client.close();
      server.close();
      return [
        await pending,
        await outcome(api, () => server.readable.getReader().read()),
        await outcome(api, () => server.writable.getWriter().write(bytes(1))),
      ];
    }),
    expected: [CONSUMED, CONSUMED, CONSUMED],
  },
  {
    name: "closing the connection interrupts a read of its stream that is pending",
    run: paired(async ({ api, client }) => {
      const reader = client.readable.getReader();
      const pending = outcome(api, () => reader.read());
      await new Promise((resolve) => setTimeout(resolve, 5));
      client.close();
      return await pending;
    }),
    expected: INTERRUPTED,
  },
  {
    name: "an echo by pipeTo ends by itself",
    run: paired(async ({ client, server }) => {
      const echo = server.readable.pipeTo(server.writable);
      const text = memory(100_000).fill(9);
      const sending = client.write(text).then(() => client.closeWrite());
      let received = 0;
      for (let count; (count = await client.read(memory(65_536))) !== null;) received += count;
      await Promise.all([sending, echo.catch(() => {})]);
      return received;
    }),
    expected: 100_000,
  },
  {
    name: "a refused connection gets ConnectionRefused",
    run: async (api) => {
      const listener = api.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr;
      listener.close();
      return await connectOutcome({ port })(api);
    },
    expected: "ConnectionRefused of errors ECONNREFUSED: Connection refused (os error 111)",
  },
  {
    name: "ports of connect are checked",
    run: async (api) => [
      await connectOutcome({ port: 70_000 })(api),
      await connectOutcome({ port: -1 })(api),
      await connectOutcome({ port: 0 })(api),
      await connectOutcome({ port: 1.5 })(api),
      await connectOutcome({})(api),
    ],
    expected: [
      "RangeError: Invalid port (out of range): 70000",
      "RangeError: Invalid port (out of range): -1",
      "RangeError: Invalid port (out of range): 0",
      "TypeError: Invalid port: 1.5",
      "TypeError: Invalid port (expected number): undefined",
    ],
  },
  {
    name: "a port may be text, and a hostname a name or an address in brackets",
    run: listening(async (listener, api) => {
      const port = String(listener.addr.port);
      const v4 = [
        await connectOutcome({ port })(api),
        await connectOutcome({ port, hostname: "localhost" })(api),
      ];
      using six = api.listen({ hostname: "[::1]", port: 0 });
      v4.push(await connectOutcome({ port: six.addr.port, hostname: "[::1]" })(api));
      v4.push(await connectOutcome({ port: six.addr.port, hostname: "::1" })(api));
      return [six.addr.hostname, ...v4];
    }),
    expected: ["::1", "connected", "connected", "connected", "connected"],
  },
  {
    name: "a name without an address is an Error, an empty one a URIError",
    run: async (api) => [
      await connectOutcome({ hostname: "no.such.name.invalid", port: 80 })(api),
      await connectOutcome({ hostname: "", port: 80 })(api),
    ],
    expected: [
      "Error: failed to lookup address information: Name or service not known",
      "URIError: invalid empty host: ''",
    ],
  },
  {
    name: "null stands for the default of an option",
    run: async (api) => {
      const defaults = { hostname: null, transport: null };
      using listener = api.listen({ ...defaults, tcpBacklog: null, port: 0 });
      const { hostname, port } = listener.addr;
      return [
        hostname,
        await connectOutcome({ ...defaults, signal: null, port })(api),
        await connectOutcome({ hostname: "localhost", signal: null, port })(api),
      ];
    },
    expected: ["0.0.0.0", "connected", "connected"],
  },
  {
    name: "an aborted signal ends connect with its reason",
    run: listening(async (listener, api) => {
      const { port } = listener.addr;
      return [
        await outcome(api, () => api.connect({ port, signal: AbortSignal.abort() })).then((text) =>
          String(text).split(":")[0]
        ),
        await connectOutcome({ port, signal: AbortSignal.abort(new Error("mine")) })(api),
      ];
    }),
    expected: ["AbortError", "Error: mine"],
  },
  {
    name: "an abort after the connection is made changes nothing",
    run: listening(async (listener, api) => {
      const aborter = new AbortController();
      using conn = await api.connect({ port: listener.addr.port, signal: aborter.signal });
      aborter.abort();
      return await conn.write(bytes(1));
    }),
    expected: 1,
  },
  {
    name: "a unix socket that is not there gets NotFound",
    run: (api) => connectOutcome({ transport: "unix", path: socketPath() })(api),
    expected: "NotFound of errors ENOENT: No such file or directory (os error 2)",
  },
  {
    name: "unix sockets carry bytes; a client has no path and no setNoDelay",
    run: async (api) => {
      const path = socketPath();
      const listener = api.listen({ transport: "unix", path });
      try {
        using client = await api.connect({ transport: "unix", path });
        using server = await listener.accept();
        await client.write(bytes(4));
        const target = memory(1);
        await server.read(target);
        const inUse = await listenOutcome({ transport: "unix", path })(api);
        const mine = client.localAddr as unknown as Record<string, unknown>;
        const theirs = client.remoteAddr as unknown as Record<string, unknown>;
        const names = [mine.transport, mine.path, theirs.path === path, typeof client.setNoDelay];
        listener.close();
        return [target[0], inUse, ...names, exists(path)];
      } finally {
        rmSync(path, { force: true });
      }
    },
    expected: [
      4,
      "AddrInUse of errors EADDRINUSE: Address already in use (os error 98)",
      "unix",
      null,
      true,
      "undefined",
      false,
    ],
  },
  {
    name: "paths of listen are checked by the system",
    run: async (api) => [
      await listenOutcome({ transport: "unix", path: join(socketPath(), "x") })(api),
      await listenOutcome({ transport: "unix", path: `/${"x".repeat(200)}` })(api),
      await listenOutcome({ transport: "unix", path: "/tmp/a\0b" })(api),
      await connectOutcome({ transport: "unix", path: "/tmp/a\0b" })(api),
    ],
    expected: [
      "NotFound of errors ENOENT: No such file or directory (os error 2)",
      "TypeError EINVAL: path must be shorter than SUN_LEN",
      "TypeError EINVAL: paths must not contain interior null bytes",
      "TypeError EINVAL: paths must not contain interior null bytes",
    ],
  },
  {
    name: "listen is synchronous and has defaults",
    run: listenOutcome({}),
    expected: "0.0.0.0",
  },
  {
    name: "listen takes addresses of both families, and localhost",
    run: async (api) => [
      await listenOutcome({ hostname: "::1", port: 0 })(api),
      await listenOutcome({ hostname: "::", port: 0 })(api),
      await listenOutcome({ hostname: "localhost", port: 0 })(api),
      await listenOutcome({ hostname: "127.0.0.1", port: "0" })(api),
    ],
    expected: ["::1", "::", "127.0.0.1", "127.0.0.1"],
  },
  {
    name: "addresses in use, of other machines, and ports that are none are refused",
    run: listening(async (listener, api) => [
      await listenOutcome({ hostname: "127.0.0.1", port: listener.addr.port })(api),
      await listenOutcome({ hostname: "192.0.2.1", port: 0 })(api),
      await listenOutcome({ port: 70_000 })(api),
      await listenOutcome({ port: "x" })(api),
      await listenOutcome({ hostname: "", port: 0 })(api),
    ]),
    expected: [
      "AddrInUse of errors EADDRINUSE: Address already in use (os error 98)",
      "AddrNotAvailable of errors EADDRNOTAVAIL: Cannot assign requested address (os error 99)",
      "RangeError: Invalid port (out of range): 70000",
      "TypeError: Invalid port: 'x'",
      "URIError: invalid empty host: ''",
    ],
  },
  {
    name: "tcpBacklog is an i32",
    run: async (api) => [
      await listenOutcome({ port: 0, tcpBacklog: "5" })(api),
      await listenOutcome({ port: 0, tcpBacklog: -1 })(api),
      await listenOutcome({ port: 0, tcpBacklog: 0 })(api),
      await listenOutcome({ port: 0, tcpBacklog: 1.5 })(api),
      await listenOutcome({ port: 0, tcpBacklog: Infinity })(api),
      await listenOutcome({ port: 0, tcpBacklog: NaN })(api),
    ],
    expected: ["TypeError: expected i32", ...Array(5).fill("0.0.0.0")],
  },
  {
    name: "a pending accept, and later ones, get BadResource when the listener closes",
    run: listening(async (listener, api) => {
      const pending = outcome(api, () => listener.accept());
      await null;
      listener.close();
      return [
        await pending,
        await outcome(api, () => listener.accept()),
        await outcomeNow(api, () => listener.close()),
        await outcomeNow(api, () => listener[Symbol.dispose]()),
        await outcomeNow(api, () => listener.ref()),
        listener.addr.transport,
      ];
    }),
    expected: [LISTENER_CLOSED, LISTENER_CLOSED, BAD, null, null, "tcp"],
  },
  {
    name: "a listener is its own iterator, and closing it ends the loop",
    run: listening(async (listener, api) => {
      const isSelf = listener[Symbol.asyncIterator]() === listener as unknown;
      using _client = await api.connect({ port: listener.addr.port });
      let count = 0;
      for await (const conn of listener) {
        count++;
        conn.close();
        queueMicrotask(() => listener.close());
      }
      const { done, value } = await listener.next();
      return [isSelf, count, done, value ?? null];
    }),
    expected: [true, 1, true, null],
  },
  {
    name: "leaving the loop closes the listener",
    run: listening(async (listener, api) => {
      using _client = await api.connect({ port: listener.addr.port });
      for await (const conn of listener) {
        conn.close();
        break;
      }
      return [
        await outcome(api, () => listener.accept()),
        await outcome(api, () => listener.return()),
      ];
    }),
    expected: [LISTENER_CLOSED, BAD],
  },
  {
    name: "16 MiB arrive whole in both directions at once",
    run: paired(async ({ client, server }) => {
      const total = 16 * 1024 * 1024;
      const side = async (conn: Conn, fill: number) => {
        const chunk = memory(1024 * 1024).fill(fill);
        for (let left = total; left > 0;) {
          for (let at = 0; at < chunk.length;) at += await conn.write(chunk.subarray(at));
          left -= chunk.length;
        }
        await conn.closeWrite();
      };
      const drain = async (conn: Conn, fill: number) => {
        const target = memory(65_536);
        let count = 0;
        for (let n; (n = await conn.read(target)) !== null; count += n) {
          if (target[0] !== fill || target[n - 1] !== fill) {
            throw new Error(`wrong byte at ${count}`);
          }
        }
        return count;
      };
      const [, , up, down] = await Promise.all([
        side(client, 1),
        side(server, 2),
        drain(server, 1),
        drain(client, 2),
      ]);
      return [up === total, down === total];
    }),
    expected: [true, true],
  },
  {
    name: "a close with unread bytes is seen by the peer as an end",
    run: paired(async (ends) => {
      await ends.server.write(bytes(1, 2, 3));
      ends.server.close();
      await untilClosedByPeer(ends);
      return "ended";
    }),
    expected: "ended",
  },
];
