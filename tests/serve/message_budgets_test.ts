/**
 * The budget of one message: one for all receives that the message takes, whether the call names
 * the budget or the network does.
 *
 *   call --waits for its turn--> first receive --> next receive ... --> message
 *        <------------------------ one budget ------------------------>
 *
 * @module
 */
import {
  type CallOptions,
  type Codec,
  type Connection,
  delimited,
  framed,
  IoBufs,
  lengthPrefixed,
  Network,
  type NetworkError,
  proxyHeader,
  readProxyHeader,
  type Sendable,
  type Stream,
} from "../../mod.ts";
import {
  closeChecked,
  connect,
  type ContractContext,
  SOON_MS,
  until,
} from "../contract/fixture.ts";
import { formatAddress } from "../../src/net/address/address.ts";
import { assert, suite } from "../harness.ts";

/** Of the network of these tests. No test waits as long. */
const BUDGET_MS = 60_000;

const test = suite<ContractContext>("budgets of messages", {} as ContractContext, {
  timeoutMs: 20_000,
});

test.before(async (context) => {
  context.network = await Network.start({ readTimeoutMs: BUDGET_MS });
});
test.after(({ network }) => closeChecked(network));

/** Notes the budget of each receive that waits. */
function watchBudgets(stream: Stream): (number | null | undefined)[] {
  const budgets: (number | null | undefined)[] = [];
  const { wait, recv, recvUntil } = stream;
  const noted =
    <A, R>(method: (first: A, options?: CallOptions) => R) =>
    (first: A, options?: CallOptions): R => {
      budgets.push(options?.timeoutMs);
      return method.call(stream, first, options);
    };
  Object.assign(stream, { wait: noted(wait), recv: noted(recv), recvUntil: noted(recvUntil) });
  return budgets;
}

function expectOneBudget(budgets: readonly (number | null | undefined)[], name: string): void {
  assert.ok(budgets.length >= 2, `${name}: several receives`);
  let lastMs = BUDGET_MS;
  for (const budgetMs of budgets) {
    assert.ok(typeof budgetMs === "number" && budgetMs <= lastMs, `${name}: ${budgets}`);
    lastMs = budgetMs as number;
  }
}

/** The name of a codec, the codec, and a message of two bytes in two parts. */
const CODECS: readonly [string, Codec<{ length: number }, Sendable>, string, string][] = [
  ["lengthPrefixed", lengthPrefixed({ lengthBytes: 1 }), "\x02", "ab"],
  ["delimited", delimited(), "a", "b\n"],
];

test("the receives of one message share the network's budget", async ({ network }) => {
  for (const [name, codec, first, second] of CODECS) {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const budgets = watchBudgets(stream);
    const receiving = framed(pair.server, codec).receive();
    await pair.client.sink.send(first);
    // The first receive has its byte, and the next one is made.
    while (budgets.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await pair.client.sink.send(second);
    const message = await receiving;
    assert.is(message?.length, 2);
    if (message instanceof IoBufs) message.release();
    expectOneBudget(budgets, name);
  }
});

test("a PROXY header that comes byte by byte has the network's budget once", async (context) => {
  await using pair = await connect(context.network);
  const budgets = watchBudgets(pair.server.stream);
  const reading = readProxyHeader(pair.server.stream);
  const header = proxyHeader({
    source: { hostname: "192.0.2.1", port: 1 },
    destination: { hostname: "192.0.2.2", port: 2 },
  }, 1);
  for (const [index, byte] of header.entries()) {
    while (budgets.length <= index) await new Promise((resolve) => setTimeout(resolve, 1));
    await pair.client.sink.send(Uint8Array.of(byte));
  }
  assert.is((await reading).command, "PROXY");
  assert.is(budgets.length, header.length);
  expectOneBudget(budgets, "readProxyHeader");
});

test("the wait for a turn is a part of the network's budget", async ({ network }) => {
  await using pair = await connect(network);
  const budgets: (number | null | undefined)[] = [];
  const turn = Promise.withResolvers<string>();
  const codec: Codec<string, string> = {
    decode(_, options) {
      budgets.push(options?.timeoutMs);
      return turn.promise;
    },
    encode: (value) => value,
  };
  const messages = framed(pair.server, codec);
  const calls = [messages.receive(), messages.receive(), messages[Symbol.asyncIterator]().next()];
  assert.equal(budgets, [undefined]);
  turn.resolve("a");
  await Promise.all(calls);
  assert.is(budgets.length, 3);
  for (const budgetMs of budgets.slice(1)) {
    assert.ok(typeof budgetMs === "number" && budgetMs <= BUDGET_MS, `${budgets}`);
  }
});

test("null is no budget, and a call may name a longer one than the network", async (context) => {
  await using pair = await connect(context.network);
  const budgets = watchBudgets(pair.server.stream);
  const frames = framed(pair.server, lengthPrefixed({ lengthBytes: 1 }));
  for (const timeoutMs of [null, 2 * BUDGET_MS]) {
    budgets.length = 0;
    const receiving = frames.receive({ timeoutMs });
    await pair.client.sink.send("\x01a");
    assert.is((await receiving)?.text(), "a");
    if (timeoutMs === null) assert.ok(budgets.every((budgetMs) => budgetMs === null));
    else assert.ok((budgets[0] as number) > BUDGET_MS);
  }
});

test("a message that does not end within the network's budget is a timeout", async () => {
  await using network = await Network.start({ readTimeoutMs: 50 });
  await using pair = await connect(network);
  await pair.client.sink.send("\x05ab");
  const frames = framed(pair.server, lengthPrefixed({ lengthBytes: 1 }));
  const results = await Promise.allSettled([frames.receive(), frames.receive()]);
  for (const result of results) {
    assert.is((result as PromiseRejectedResult).reason.code, "Timeout");
  }
  await pair.client.sink.send("cde");
  const message = await frames.receive({ timeoutMs: null }).catch((error: NetworkError) => error);
  assert.is((message as { length: number }).length, 5);
  (message as { release(): void }).release();
});

test("a message that is late names its peer and the whole budget", async ({ network }) => {
  const late = async (
    what: string,
    part: string,
    operation: string,
    receive: (connection: Connection, options: CallOptions) => Promise<unknown>,
  ) => {
    // A budget that ends before all bytes have come is given again, and longer.
    for (let timeoutMs = 200, isInTime = false; !isInTime; timeoutMs *= 4) {
      await using pair = await connect(network);
      const { stream, remoteAddress } = pair.server;
      let error: NetworkError | null = null;
      const failed = receive(pair.server, { timeoutMs }).catch((failure) => {
        error = failure as NetworkError;
      });
      for (const [index, byte] of [...part].entries()) {
        await pair.client.sink.send(byte);
        await until(() => error !== null || stream.bytesReceived > index, `${what}: byte ${index}`);
      }
      isInTime = error === null;
      await failed;
      if (!isInTime) continue;
      const { code, message, ...details } = error as unknown as NetworkError;
      const bytesDone = part.length;
      assert.equal([code, details.operation, details.bytesDone], ["Timeout", operation, bytesDone]);
      const happened = `${timeoutMs} ms passed after ${bytesDone} bytes`;
      assert.is(message, `Cannot ${what} from ${formatAddress(remoteAddress)}: ${happened}`);
    }
  };
  const what = "receive a message";
  const codecs: [Codec<{ length: number }, Sendable>, string][] = [
    [lengthPrefixed({ lengthBytes: 1 }), "\x05ab"],
    [delimited(), "abc"],
  ];
  for (const [codec, part] of codecs) {
    await late(what, part, "decode", (connection, options) => {
      return framed(connection, codec).receive(options);
    });
    await late(what, part, "decode", (connection, options) => {
      const turn = new AbortController();
      const messages = framed(connection, codec);
      const before = messages.receive({ signal: turn.signal }).catch(() => {});
      const receiving = messages.receive(options);
      void until(() => connection.stream.bytesReceived > 0, what).then(() => turn.abort());
      return before.then(() => receiving);
    });
  }
  await late("read a PROXY header", "PRO", "readProxyHeader", (connection, options) => {
    return readProxyHeader(connection.stream, options);
  });
});

test("a message that is aborted with a late error rejects with it", async (context) => {
  await using pair = await connect(context.network);
  const { stream } = pair.server;
  const late = await assert.rejects(stream.recv(1, { timeoutMs: 1 }), { code: "Timeout" });
  const receivers: ((options: CallOptions) => Promise<unknown>)[] = [
    (options) => framed(pair.server, lengthPrefixed()).receive(options),
    (options) => framed(pair.server, delimited()).receive(options),
    (options) => readProxyHeader(stream, options),
  ];
  for (const receive of receivers) {
    const controller = new AbortController();
    const receiving = receive({ signal: controller.signal, timeoutMs: SOON_MS });
    controller.abort(late);
    assert.is(await assert.rejects(receiving), late);
  }
});

test("a proxy of a connection's stream is a stand-in of the program", async ({ network }) => {
  await using pair = await connect(network);
  const calls: PropertyKey[] = [];
  const stream = new Proxy(pair.server.stream, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      calls.push(name);
      return value.bind(target);
    },
  });
  const watched = {
    ...pair.server,
    sink: pair.server.sink,
    stream,
  } as unknown as typeof pair.server;
  const [messages, answers] = [
    framed(watched, lengthPrefixed()),
    framed(pair.client, lengthPrefixed()),
  ];
  await answers.send("hello");
  assert.is((await messages.receive({ timeoutMs: BUDGET_MS }))?.text(), "hello");
  assert.ok(calls.includes("wait"));
});

test.run();
