/**
 * Copying between connections: every byte, the half close, backpressure, and failures of each side.
 *
 * @module
 */
import { type Connection, copy, copyBidirectional, Network, type NetworkError } from "../../mod.ts";
import {
  closeChecked,
  connect,
  type ContractContext,
  expectEnd,
  expectText,
  pattern,
  pause,
  readAll,
  settlesWithin,
  socketPath,
  SOON_MS,
  until,
} from "../contract/fixture.ts";
import { assert, bytesEqual, Random, suite } from "../harness.ts";

const test = suite<ContractContext>("copying", {} as ContractContext, { timeoutMs: 20_000 });
const SOON = { timeoutMs: SOON_MS };
const paths = new Random();

test.before(async (context) => {
  context.network = await Network.start();
});
test.after(({ network }) => closeChecked(network));

/** client - a | copy | b - server */
async function chain(network: Network, kind: "tcp" | "unix" = "tcp") {
  const address = () => kind === "tcp" ? "127.0.0.1:0" : `unix:${socketPath(paths)}`;
  const left = await connect(network, address());
  const right = await connect(network, address());
  return {
    client: left.client,
    a: left.server,
    b: right.client,
    server: right.server,
    async [Symbol.asyncDispose]() {
      await left[Symbol.asyncDispose]();
      await right[Symbol.asyncDispose]();
    },
  };
}

async function sendAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  await connection.sink.send(bytes);
  await connection.sink.close();
}

test("copy() carries every byte and closes nothing, on TCP and unix sockets", async (context) => {
  for (const kind of ["tcp", "unix"] as const) {
    await using line = await chain(context.network, kind);
    const bytes = pattern(5_000_000);
    const sent = sendAll(line.client, bytes);
    const received = line.server.stream.recv(bytes.length, SOON);
    assert.is(await copy(line.a, line.b), bytes.length);
    bytesEqual((await received).toUint8Array(), bytes);
    await sent;
    await line.b.sink.send("open");
    await expectText(line.server, "open");
    await line.server.sink.send("halves");
    await line.server.sink.close();
    assert.is(await copy(line.b.stream, line.a.sink), 6);
    await expectText(line.client, "halves");
  }
});

test("copyBidirectional() passes each half close on, and counts", async ({ network }) => {
  for (const kind of ["tcp", "unix"] as const) {
    await using line = await chain(network, kind);
    const copied = copyBidirectional(line.a, line.b);
    await line.client.sink.send("request");
    await line.client.sink.close();
    assert.is(new TextDecoder().decode(await readAll(line.server)), "request");
    assert.is(await settlesWithin(copied, 20), false, "the other direction is open");
    const answer = pattern(1_000_000, 3);
    const sent = sendAll(line.server, answer);
    bytesEqual(await readAll(line.client), answer);
    await sent;
    assert.equal(await copied, { aToB: 7, bToA: answer.length });
  }
});

test("a receiver that does not read holds the sender back", async ({ network }) => {
  await using line = await chain(network);
  const controller = new AbortController();
  const copied = copyBidirectional(line.a, line.b, { signal: controller.signal });
  const failed = assert.rejects(copied, /enough/);
  const sending = line.client.sink.send(new Uint8Array(64 << 20)).catch((error) => error);
  let before = -1;
  await until(() => {
    const still = line.a.stream.bytesReceived === before && before > 0;
    before = line.a.stream.bytesReceived;
    return still && line.b.sink.bytesQueued > 0;
  }, "nothing moves any more");
  await pause(20);
  const held = line.a.stream.bytesReceived - line.b.sink.bytesSent;
  assert.ok(held <= 2 * (1 << 18), `${held} bytes are held`);
  controller.abort(new Error("enough"));
  await failed;
  assert.is((await sending).code, "SendFailed");
});

test("a failure of either side resets the other one", async ({ network }) => {
  for (const failing of ["client", "server"] as const) {
    await using line = await chain(network);
    const failed = assert.rejects(copyBidirectional(line.a, line.b));
    await line.client.sink.send("first");
    await expectText(line.server, "first");
    const other = failing === "client" ? line.server : line.client;
    const told = assert.rejects(other.stream.recvSome(undefined, SOON), { errno: "ECONNRESET" });
    line[failing].reset();
    await failed;
    await told;
    assert.ok(line.a.stream.closed && line.b.stream.closed);
  }
});

test("a send that fails ends a copy whose source is quiet", async ({ network }) => {
  await using line = await chain(network);
  const copied = assert.rejects(copy(line.a, line.b), { code: "SendFailed" });
  line.server.reset();
  await line.b.peerFinished(SOON);
  await line.client.sink.send("nobody takes this");
  await copied;
  // The source goes on.
  await line.client.sink.send("but this");
  await expectText(line.a, "but this");
});

test("a budget ends a copy that never waits, too", async ({ network }) => {
  await using line = await chain(network);
  let stopped = false;
  const flood = (async () => {
    const bytes = new Uint8Array(1 << 18);
    while (!stopped) await line.client.sink.send(bytes).catch(() => stopped = true);
  })();
  const drain = (async () => {
    for (let data; (data = await line.server.stream.recvSome().catch(() => null));) data.release();
  })();
  const start = performance.now();
  const error = await assert.rejects(copy(line.a, line.b, { timeoutMs: 100 }), {
    code: "Timeout",
    operation: "copy",
  });
  assert.is.not((error.cause as NetworkError | undefined)?.operation, "copy");
  assert.ok(performance.now() - start >= 95);
  stopped = true;
  for (const connection of [line.client, line.a, line.b, line.server]) connection.reset();
  await Promise.all([flood, drain]);
});

test("a copy that is out of time tells its whole budget and what it sent", async (context) => {
  for (const run of [copy, copyBidirectional]) {
    // A budget that ends before the bytes have passed is given again, and longer.
    let error: NetworkError | null = null;
    let timeoutMs = 125;
    for (let isInTime = false; !isInTime;) {
      await using line = await chain(context.network);
      timeoutMs *= 4;
      error = null;
      const copying: Promise<unknown> = run(line.a, line.b, { timeoutMs });
      const failed = copying.catch((failure) => {
        error = failure as NetworkError;
      });
      for (const [index, text] of ["abc", "defg"].entries()) {
        await line.client.sink.send(text).catch(() => {});
        await until(() => error !== null || line.b.sink.bytesSent >= [3, 7][index], text);
      }
      isInTime = error === null;
      await failed;
    }
    const { code, operation, message, bytesDone } = error as unknown as NetworkError;
    assert.equal([code, operation], ["Timeout", "copy"]);
    // In both directions, the one that is quiet may be the first whose time is over.
    if (run === copy) assert.is(bytesDone, 7);
    const happened = `${timeoutMs} ms passed after ${bytesDone} bytes`;
    assert.match(message, /^Cannot copy from 127\.0\.0\.1:\d+: /);
    assert.ok(message.endsWith(`: ${happened}`) && [0, 7].includes(bytesDone), message);
  }
});

test("a copy that is out of time counts what its pending send has sent", async ({ network }) => {
  // The receiver takes nothing: as much as its kernel takes, and a part of one send more.
  let most = 64 << 20;
  for (const extraBytes of [null, 1_000, 20_000, 50_000]) {
    await using line = await chain(network);
    const bytes = new Uint8Array(extraBytes === null ? most : most + extraBytes);
    const sending = line.client.sink.send(bytes).catch(() => {});
    const error = await assert.rejects(copy(line.a, line.b, { timeoutMs: 300 }));
    assert.equal([error.code, error.operation], ["Timeout", "copy"]);
    assert.is(error.bytesDone, line.b.sink.bytesSent);
    if (extraBytes === null) most = line.b.sink.bytesSent;
    for (const connection of [line.client, line.a, line.b, line.server]) connection.reset();
    await sending;
  }
});

test("a copy that is aborted with a late error rejects with it", async (context) => {
  await using line = await chain(context.network);
  const late = await assert.rejects(line.a.stream.recv(1, { timeoutMs: 1 }), { code: "Timeout" });
  const controller = new AbortController();
  const copying = copy(line.a, line.b, { signal: controller.signal, timeoutMs: SOON_MS });
  controller.abort(late);
  assert.is(await assert.rejects(copying), late);
});

test("an abort ends copyBidirectional() with the reason, and resets both", async ({ network }) => {
  await using line = await chain(network);
  const controller = new AbortController();
  const copied = copyBidirectional(line.a, line.b, { signal: controller.signal });
  const reason = new Error("no longer wanted");
  const rejected = assert.rejects(copied, (error) => error === reason);
  controller.abort(reason);
  await rejected;
  for (const end of [line.client, line.server]) {
    await assert.rejects(end.stream.recv(1, SOON), { errno: "ECONNRESET" });
  }
  await assert.rejects(copy(line.a, line.b, { signal: controller.signal }), /no longer/);
});

test("copyBidirectional() resets both also when its signal was aborted before", async (context) => {
  await using line = await chain(context.network);
  const reason = new Error("no longer wanted");
  const copied = copyBidirectional(line.a, line.b, { signal: AbortSignal.abort(reason) });
  await assert.rejects(copied, (error) => error === reason);
  for (const end of [line.client, line.server]) {
    await assert.rejects(end.stream.recv(1, SOON), { errno: "ECONNRESET" });
  }
});

test("a stand-in whose reset throws: the other end is reset", async (context) => {
  await using first = await connect(context.network);
  await using second = await connect(context.network);
  const { stream, sink } = first.server;
  const standIn = Object.assign(Object.create(first.server) as typeof first.server, {});
  for (const [name, value] of Object.entries({ stream, sink })) {
    Object.defineProperty(standIn, name, { value });
  }
  standIn.reset = () => {
    throw new Error("of the stand-in");
  };
  const controller = new AbortController();
  const copying = copyBidirectional(standIn, second.client, { signal: controller.signal });
  controller.abort(new Error("enough"));
  assert.is((await assert.rejects(copying)).message, "enough");
  assert.is((await assert.rejects(second.server.stream.recv(1))).errno, "ECONNRESET");
  first.server.reset();
});

test("wrong arguments are refused before a byte moves", async ({ network }) => {
  await using pair = await connect(network);
  const { client, server } = pair;
  const wrong: [Promise<unknown>, RegExp][] = [
    [copy(null as never, server), /"from"/],
    [copy(server, {} as never), /"to"/],
    [copy(server.sink as never, client), /"from"/],
    [copyBidirectional(server, null as never), /"b"/],
    [copyBidirectional(3 as never, server), /"a"/],
    [copy(server, client, { timeoutMs: -1 }), /timeoutMs/],
    [copy(server, client, { retries: 3 } as never), /"options.retries"/],
  ];
  for (const [call, message] of wrong) {
    await assert.rejects(
      call,
      (error) =>
        (error instanceof TypeError || error instanceof RangeError) && message.test(error.message),
    );
  }
  await client.sink.close();
  await expectEnd(server);
});

test.run();
