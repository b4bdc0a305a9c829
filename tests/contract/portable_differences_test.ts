/**
 * The behaviour of the portable backend where it differs from the contract (docs/PORTABLE.md):
 * options that `node:net` cannot set are refused with "Unsupported", and memory is bounded.
 *
 * @module
 */
import { existsSync } from "node:fs";
import {
  type BindOptions,
  BufferPool,
  type DialOptions,
  Network,
  NetworkError,
} from "../../mod.ts";
import { assert, suite } from "../harness.ts";
import {
  connect,
  type ContractContext,
  expectAlive,
  expectText,
  pattern,
  pause,
  settlesWithin,
  socketPath,
  SOON_MS,
  started,
  until,
} from "./fixture.ts";

const config = { backend: "portable" } as const;
const test = suite<ContractContext>("portable differences", {} as ContractContext, {
  timeoutMs: 20_000,
});

test.before(async (context) => {
  context.network = await Network.start(config);
});

test.after(({ network }) => network.close());

const unsupported = { code: "Unsupported" };

test("keep-alive: idleSeconds is set, intervals and counts are Unsupported", async (context) => {
  for (const keepAlive of [{ intervalSeconds: 5 }, { count: 5 }]) {
    await assert.rejects(Network.start({ ...config, keepAlive }), unsupported);
  }
  await using own = await started({ ...config, keepAlive: { idleSeconds: 30 } });
  await expectAlive(await connect(own.network));
  await using pair = await connect(context.network);
  pair.client.setKeepAlive({ idleSeconds: 9 });
  pair.client.setKeepAlive(false);
  for (const options of [{ intervalSeconds: 5 }, { count: 5 }]) {
    let code: string | null = null;
    try {
      pair.client.setKeepAlive(options);
    } catch (error) {
      code = (error as NetworkError).code;
    }
    assert.is(code, "Unsupported");
  }
  await expectAlive(pair);
});

test("soLinger above 0 is Unsupported", async () => {
  const error = await assert.rejects(Network.start({ ...config, soLinger: 3 }), unsupported);
  assert.match(error.message, "soLinger above 0");
});

test("unlinkStale and mode of a socket file are Unsupported and leave none", async (context) => {
  const path = socketPath();
  for (const options of [{ unlinkStale: true }, { mode: 0o600 }]) {
    await assert.rejects(context.network.bind({ path }, options), unsupported);
    assert.not(existsSync(path));
  }
});

test("an option of a call that node:net lacks is Unsupported, by name", async ({ network }) => {
  await using listener = await network.bind("127.0.0.1:0");
  const unix = `unix:${socketPath()}`;
  const binds: [string, BindOptions, string?][] = [
    ["deferAcceptSeconds", { deferAcceptSeconds: 1 }],
    ["interfaceName", { interfaceName: "lo" }],
    ["unlinkStale", { unlinkStale: true }, unix],
    ["mode", { mode: 0o600 }, unix],
  ];
  for (const [name, options, address] of binds) {
    const refused = network.bind(address ?? "127.0.0.1:0", options);
    const { message } = await assert.rejects(refused, { code: "Unsupported", operation: "bind" });
    assert.match(message, name);
  }
  const dials: [string, DialOptions, string?][] = [
    ["sendBufferBytes", { noDelay: true, sendBufferBytes: 4_096 }],
    ["recvBufferBytes", { recvBufferBytes: 4_096 }],
    ["userTimeoutMs", { userTimeoutMs: 1_000 }],
    ["trafficClass", { trafficClass: 8 }],
    ["keepAlive", { keepAlive: { count: 3 } }],
    ["localAddress", { localAddress: "unix:@uringnet-from" }, unix],
  ];
  for (const [name, options, address] of dials) {
    const refused = network.dial(address ?? listener.localAddress, options);
    const { message } = await assert.rejects(refused, { code: "Unsupported", operation: "dial" });
    assert.match(message, name);
  }
  // Options of TCP have no effect on a unix socket, on any backend.
  const none = network.dial(unix, { userTimeoutMs: 1_000, trafficClass: 8 });
  await assert.rejects(none, { code: "ConnectionFailed", errno: "ENOENT" });
});

test("ipv6Only works, or is Unsupported", async ({ network }) => {
  let listener;
  try {
    listener = await network.bind("[::]:0", { ipv6Only: true });
  } catch (error) {
    assert.is((error as NetworkError).code, "Unsupported");
    assert.match((error as NetworkError).message, "ipv6Only");
    return;
  }
  const { port } = listener.localAddress as { port: number };
  await assert.rejects(network.dial({ hostname: "127.0.0.1", port }), { errno: "ECONNREFUSED" });
  await listener.close();
});

test("the backlog: as many as were asked for wait, those beyond are reset", async ({ network }) => {
  await using listener = await network.bind("127.0.0.1:0", { backlog: 2 });
  const clients = [];
  for (let i = 0; i < 2; i++) {
    clients.push(await network.dial(listener.localAddress));
    await pause(20);
  }
  for (let i = 0; i < 2; i++) {
    // The dial is told, or who receives: whichever the runtime sees first.
    const reset = network.dial(listener.localAddress).then(async (client) => {
      await client.stream.recvSome(1, { timeoutMs: SOON_MS }).finally(() => client.close());
    });
    await assert.rejects(reset, { errno: "ECONNRESET" });
  }
  for (const client of clients) {
    const server = await listener.accept({ timeoutMs: SOON_MS });
    await expectAlive({ client, server });
    await Promise.all([client.close(), server.close()]);
  }
});

test("a listener that closes resets connections that were not accepted", async ({ network }) => {
  const listener = await network.bind("127.0.0.1:0");
  const client = await network.dial(listener.localAddress);
  await pause(20);
  await listener.close();
  const end = client.stream.recvSome(1, { timeoutMs: SOON_MS });
  await assert.rejects(end, { code: "RecvFailed", errno: "ECONNRESET" });
  await client.close();
});

/** More than the sockets of a loopback connection hold. */
const TOO_MUCH = 64 << 20;

test("a peer that never reads: the runtime holds one window, and the rest waits", async () => {
  await using own = await started(config);
  await using pair = await connect(own.network);
  const controller = new AbortController();
  const sending = pair.client.sink.send(pattern(TOO_MUCH), { signal: controller.signal });
  // The kernel enlarges the buffers of both sockets for a while.
  let before = -1;
  do {
    before = own.network.stats().outboundBytes;
    assert.not(await settlesWithin(sending, 300), "the send waits");
  } while (own.network.stats().outboundBytes !== before);
  controller.abort();
  await sending.catch(() => {});
  const { bytesSent } = pair.client.sink;
  assert.ok(bytesSent - before <= 4 * 65_536, `${bytesSent - before} bytes with the runtime`);
});

test("a peer that never stops sending: it is stopped, and no byte is lost", async () => {
  await using own = await started({ ...config, readBufferSize: 0 });
  await using pair = await connect(own.network);
  const bytes = pattern(TOO_MUCH);
  const sending = pair.client.sink.send(bytes);
  assert.not(await settlesWithin(sending, 300));
  assert.is(own.network.stats().inboundBytes, 0, "the core has asked for nothing");
  assert.is(pair.server.stream.buffered, 0, "and sees nothing");
  const first = await pair.server.stream.recv(7);
  assert.equal([...first.toUint8Array()], [...bytes.subarray(0, 7)]);
  assert.is(pair.server.stream.bytesReceived, 7, "exactly what was asked for");
  let at = 7;
  while (at < TOO_MUCH) {
    const part = (await pair.server.stream.recv(Math.min(1 << 20, TOO_MUCH - at))).toUint8Array();
    assert.is(part[part.length - 1], bytes[at + part.length - 1]);
    at += part.length;
  }
  await sending;
});

test("a send that is cancelled goes on from what the peer gets", async () => {
  await using own = await started(config);
  await using pair = await connect(own.network);
  const error = await assert.rejects(
    pair.client.sink.send(pattern(TOO_MUCH), { timeoutMs: 50 }),
    { code: "Timeout" },
  );
  let received = 0;
  for await (const part of pair.server.stream) received += part.length;
  assert.is(received, error.bytesDone);
  assert.is(received, pair.client.sink.bytesSent);
});

test("a pool that was made before is used, wherever its memory is", async () => {
  const pool = new BufferPool();
  await using own = await started({ ...config, pool });
  assert.is(own.network.pool, pool);
  await using pair = await connect(own.network);
  const buffer = pool.alloc(100);
  buffer.bytes.set([1, 2, 3]);
  await pair.client.sink.send(buffer.freeze());
  assert.equal([...(await pair.server.stream.recv(100)).toUint8Array().subarray(0, 3)], [1, 2, 3]);
});

test("onFallback is not called where portable was asked for", async () => {
  let called = false;
  const network = await Network.start({ ...config, onFallback: () => called = true });
  assert.equal([network.backend, called], ["portable", false]);
  await network.close();
});

test("the metrics count what happens", async () => {
  await using own = await started(config);
  await using pair = await connect(own.network);
  await pair.client.sink.send("hello");
  await expectText(pair.server, "hello");
  await until(() => own.network.stats().ringCompletions >= 4, "completions are counted");
  const stats = own.network.stats();
  assert.equal([stats.inboundBytes, stats.outboundBytes, stats.connections], [5, 5, 2]);
  for (const name of ["ringEnters", "ringSubmissions", "ringWakeups"] as const) {
    assert.ok(stats[name] > 0, name);
  }
});

test.run();
