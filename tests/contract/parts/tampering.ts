/**
 * Programs that put members of their own into the library's objects, or replace functions of the
 * runtime: what a handler, or an owner, breaks is its own, and everything else still ends.
 *
 * @module
 */
import {
  type Connection,
  framed,
  lengthPrefixed,
  Network,
  type NetworkConfig,
  type NetworkError,
  serve,
  type ServeContext,
  type ServeOptions,
} from "../../../mod.ts";
import { assert } from "../../harness.ts";
import {
  closeChecked,
  type ContractSuite,
  expectText,
  SOON_MS,
  started,
  until,
} from "../fixture.ts";

// deno-lint-ignore no-explicit-any
type Anything = any;

const SOON = { timeoutMs: SOON_MS };

function fails(): never {
  throw new Error("on purpose");
}

/** Puts a getter that throws in the place of a member. */
function spoil(target: object, name: string): void {
  Object.defineProperty(target, name, { get: fails, configurable: true });
}

/** The tampering of a handler, which then fails or returns. */
const HANDLERS: [name: string, tamper: (own: Anything, context: ServeContext) => unknown][] = [
  ["a close that throws", (own) => own.close = fails],
  ["a close that rejects", (own) => own.close = () => Promise.reject(new Error("on purpose"))],
  ["a reset that throws", (own) => {
    own.reset = fails;
    fails();
  }],
  ["an address that cannot be read", (own) => {
    spoil(own, "remoteAddress");
    fails();
  }],
  ["an address that is none", (own) => {
    own.remoteAddress.hostname = { includes: fails };
    fails();
  }],
  ["a signal that cannot be read", (_, { signal }) => {
    spoil(signal, "aborted");
    spoil(signal, "reason");
    fails();
  }],
];

/** Serves one connection with a handler that tampers, and one with a handler that does not. */
async function serveBoth(
  network: Network,
  tamper: (own: Connection, context: ServeContext) => unknown,
  options?: ServeOptions,
): Promise<void> {
  let isFirst = true;
  const listener = await network.bind("127.0.0.1:0");
  const server = serve(listener, async (connection, context) => {
    if (isFirst) {
      isFirst = false;
      tamper(connection, context);
      return;
    }
    await connection.sink.send("hello");
  }, options);
  await using tampered = await network.dial(listener.localAddress);
  const end = await tampered.stream.recvSome(1, SOON).catch((error: NetworkError) => error.errno);
  assert.ok(end === null || end === "ECONNRESET", `the tampered connection has ended: ${end}`);
  await until(() => server.connections === 0, "the server has let go of it");
  await using other = await network.dial(listener.localAddress);
  await expectText(other, "hello");
  await server.close();
}

/** Runs `body` while `console.warn` throws. */
async function withoutConsole(body: () => Promise<void>): Promise<void> {
  const { warn } = console;
  console.warn = fails;
  try {
    await body();
  } finally {
    console.warn = warn;
  }
}

export function tampering(test: ContractSuite, config: NetworkConfig): void {
  for (const [name, tamper] of HANDLERS) {
    test(`a handler that leaves ${name} ends its own connection and no other`, async () => {
      await using own = await started(config);
      await serveBoth(own.network, tamper, { onError: () => {} });
      await withoutConsole(() => serveBoth(own.network, tamper));
    });
  }

  test("a fake clock and fake tasks of a test framework stop no network", async () => {
    const { now } = performance;
    const { queueMicrotask, setTimeout, clearTimeout, setImmediate } = globalThis;
    const fake = () => 1 as Anything;
    performance.now = fake;
    Object.assign(globalThis, {
      queueMicrotask: fake,
      setTimeout: fake,
      clearTimeout: fake,
      setImmediate: fake,
    });
    try {
      await using own = await started(config);
      const listener = await own.network.bind("127.0.0.1:0");
      const server = serve(listener, async ({ stream, sink }) => {
        await sink.send(await stream.recv(5));
        await stream.wait(1, { timeoutMs: 20 }).catch(() => {});
      });
      const client = await own.network.dial(listener.localAddress);
      await client.sink.send("hello");
      await expectText(client, "hello");
      const messages = framed(client, lengthPrefixed());
      const error = await assert.rejects(messages.receive({ timeoutMs: 10 }));
      assert.is(error.code, "Timeout");
      await client.close();
      await server.close();
    } finally {
      performance.now = now;
      Object.assign(globalThis, { queueMicrotask, setTimeout, clearTimeout, setImmediate });
    }
  });

  test("a network closes its servers and listeners whatever their close has become", async () => {
    const network = await Network.start(config);
    const listener = await network.bind("127.0.0.1:0");
    const served = await network.bind("127.0.0.1:0");
    const server = serve(served, () => {});
    // Each waits for the other, as a program's own end may do.
    listener.close = served.close = server.close = () => network.close();
    await closeChecked(network);
    await server.finished;
    for (const { closed } of [listener, served]) assert.ok(closed);
  });
}
