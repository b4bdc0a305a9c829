/**
 * One thing happens at each step of the event loop in turn: no moment between a call and its end is
 * left out by chance.
 *
 * @module
 */
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, type Pair, type PairOptions, withPair } from "../support/pair.ts";
import type { Sim } from "../support/sim.ts";

const test = suite("sim/steps");

const STEP_COUNT = 60;

/** Calls back before the step with this number, counted from now. */
function atStep(sim: Sim, step: number, action: () => void): void {
  let count = 0;
  sim.onStep = () => {
    if (count++ === step) action();
  };
}

interface StepOptions extends PairOptions {
  /** Whether the server's receiving half has a multishot receive before the faults begin. */
  multishot?: boolean;
}

/** Plays `body` once for each step. */
async function withSteps(
  { multishot, faults, ...options }: StepOptions,
  body: (pair: Pair, step: number) => Promise<void>,
): Promise<void> {
  for (let step = 0; step < STEP_COUNT; step++) {
    try {
      await withPair({ ...options, seed: step + 1 }, async (pair) => {
        if (multishot) await chat(pair);
        Object.assign(pair.sim.faults.rates, faults);
        await body(pair, step);
      });
    } catch (error) {
      if (error instanceof Error) error.message = `step ${step}: ${error.message}`;
      throw error;
    }
  }
}

/** Small, awaited messages, after which the server's receiving half has a multishot receive. */
async function chat({ client, server, serverSocket }: Pair): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const receiving = server.stream.recv(10);
    await client.sink.send(contentOf(2, 10));
    (await receiving).release();
  }
  assert.is(serverSocket.recv?.kind, "recvMultishot");
}

/** Buffered by a multishot receive and by single receives, direct, and without a read buffer. */
const KINDS = [
  { readBufferSize: 65_536, length: 3_000, multishot: true },
  { readBufferSize: 65_536, length: 3_000, multishot: false },
  { readBufferSize: 256, length: 3_000, multishot: false },
  { readBufferSize: 0, length: 3_000, multishot: false },
];

test("an abort at each step around an arrival loses no byte of it", async () => {
  for (const { readBufferSize, length, multishot } of KINDS) {
    for (const faults of [{}, { cancelLoses: 1 }, { cancelInterrupts: 1, deferred: 0.5 }]) {
      let aborted = 0;
      // It arrives in many parts.
      const kernel = { sendCapacity: 300, recvCapacity: 300 };
      const options = { config: { readBufferSize }, kernel, faults, multishot };
      await withSteps(options, async ({ client, server, sim }, step) => {
        const controller = new AbortController();
        const reason = new Error("enough");
        atStep(sim, step, () => controller.abort(reason));
        const first = outcomeOf(server.stream.recv(length, { signal: controller.signal }));
        const second = outcomeOf(server.stream.recv(length));
        const sending = client.sink.send(contentOf(1, 2 * length));
        const end = await first;
        if ("error" in end) {
          aborted++;
          assert.is(end.error, reason);
        }
        const calls = "error" in end
          ? [await second, await outcomeOf(server.stream.recv(length))]
          : [end, await second];
        calls.forEach((call, at) => {
          const bytes = (call as Extract<typeof call, { value: unknown }>).value.toUint8Array();
          assert.bytesEqual(bytes, contentOf(1, length, at * length));
        });
        await sending;
      });
      assert.ok(aborted > 15, `${aborted} calls were aborted`);
    }
  }
});

test("an abort at each step of a send poisons the sink just when a part went out", async () => {
  const kernel = { sendCapacity: 1_000, recvCapacity: 700 };
  const seen = { sent: 0, nothing: 0, part: 0 };
  const variants = [{}, { cancelLoses: 1, shortSend: 0.5 }, { cancelInterrupts: 1 }];
  for (const variant of variants) {
    // After a pause it takes its first bytes later.
    const faults = { ...variant, memory: 0.6 };
    await withSteps({ kernel, faults }, async ({ client, server, clientSocket, sim }, step) => {
      const { wire } = clientSocket;
      const reading = (async () => {
        for (let at = 0;;) {
          const got = await server.stream.recvSome();
          if (got === null) return at;
          const bytes = got.toUint8Array();
          assert.ok(wire.holds(bytes, at));
          at += bytes.length;
        }
      })();
      const controller = new AbortController();
      const reason = new Error("enough");
      atStep(sim, step, () => controller.abort(reason));
      const end = await outcomeOf(client.sink.send(contentOf(1, 4_000), controller));
      const { length } = wire;
      assert.ok(wire.holds(contentOf(1, Math.min(length, 4_000)), 0));
      if ("value" in end) {
        seen.sent++;
        assert.is(length, 4_000);
      } else if (length === 0) {
        seen.nothing++;
        assert.is(end.error, reason);
        await client.sink.send(contentOf(3, 100));
      } else {
        seen.part++;
        assert.is(end.error, reason);
        assert.is(clientSocket.finCount, 1);
        await assert.rejects(client.sink.send("more"), { code: "Closed" });
        assert.is(wire.length, length);
      }
      await client.sink.close();
      assert.is(await reading, wire.length);
    });
  }
  assert.ok(Math.min(seen.sent, seen.nothing, seen.part) > 3, JSON.stringify(seen));
});

const ENDS: Readonly<Record<string, (pair: Pair) => unknown>> = {
  "Connection.close()": ({ server }) => server.close(),
  "Connection.reset()": ({ server }) => server.reset(),
  "Sink.close()": ({ server }) => server.sink.close(),
  "Network.close()": ({ network }) => network.close(),
};

for (const [name, end] of Object.entries(ENDS)) {
  test(`${name} at each step of calls in flight ends them, and leaves nothing`, async () => {
    for (const { readBufferSize, multishot } of KINDS) {
      const config = { readBufferSize, shutdownTimeoutMs: 20 };
      const faults = { late: 0.1, deferred: 0.3, cancelLoses: 0.5, cancelMisses: 0.5 };
      const kernel = { sendCapacity: 2_000 };
      await withSteps({ config, faults, kernel, multishot }, async (pair, step) => {
        const { client, server, sim } = pair;
        let ending: unknown = null;
        atStep(sim, step, () => ending = end(pair));
        const calls = [
          server.stream.recv(2_000),
          server.stream.recvSome(),
          server.stream.recv(100_000),
          server.sink.send(contentOf(3, 50_000)),
          client.sink.send(contentOf(1, 5_000)),
          client.stream.recv(10),
        ].map((call) => outcomeOf<{ release?(): void } | null | void>(call));
        await sim.sleep(30);
        assert.ok(ending !== null, "the step was reached");
        await ending;
        client.reset();
        server.reset();
        for (const outcome of await Promise.all(calls)) {
          if ("value" in outcome) outcome.value?.release?.();
          else assert.is(typeof (outcome.error as { code?: string }).code, "string");
        }
      });
    }
  });
}

test.run();
