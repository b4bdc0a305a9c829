/**
 * Calls that end before their turn: what it costs to take them out of their queues, counted in
 * links that are followed. However many wait, each costs the same.
 *
 * @module
 */
import { LIMITS } from "../../src/base/limits.ts";
import type { CallOptions } from "../../src/net/call/call_options.ts";
import { assert, Random, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { LinkCounter } from "../support/link_counter.ts";
import { outcomeOf, type Pair, withPair } from "../support/pair.ts";

const test = suite("sim/removal");

const NARROW = { sendCapacity: 4_096, recvCapacity: 4_096 };
/** Fills a narrow connection and its own operation: what comes behind it waits in the queue. */
const FILL_BYTES = 400_000;
/** Of the dials, 24 are with the kernel and the others wait in their lane. */
const CROWDED = {
  kernel: { ...NARROW, descriptorMax: 10_000 },
  config: { ring: { maxInFlight: 24 } },
};
const COUNTS = [100, 1_000];
/** Links that one call may cost from its beginning to its end. */
const LINKS_PER_CALL = 10;

type Begin = (pair: Pair, options: CallOptions) => Promise<unknown>;

/** Calls of which many can wait at a time. */
const CALLS: Readonly<Record<string, Begin>> = {
  "sends": ({ client }, options) => client.sink.send("a few bytes", options),
  "flushes": ({ client }, options) => client.sink.flush(options),
  "receives": ({ client }, options) => client.stream.recv(10, options),
  "receives into their results": ({ client }, options) => client.stream.recv(100_000, options),
  "accepts": ({ listener }, options) => listener.accept(options),
  "dials": ({ network }, options) => network.dial("192.0.2.1:9", options),
};

function arranged<T>(items: readonly T[], order: string): readonly T[] {
  if (order === "last to first") return items.toReversed();
  return order === "any order" ? new Random(5).shuffle(items) : items;
}

/** The peers of dials do not answer. */
const SILENT_MS = 60_000;

/** Begins `count` calls behind a send that its peer does not read. */
async function queued(pair: Pair, begin: Begin, count: number, budgets?: number[]) {
  const filling = outcomeOf(pair.client.sink.send(contentOf(1, FILL_BYTES)));
  pair.sim.kernel.options.latencyMs = () => SILENT_MS;
  const controllers = Array.from({ length: count }, () => new AbortController());
  const ends = controllers.map(({ signal }, at) =>
    outcomeOf(begin(pair, budgets === undefined ? { signal } : { timeoutMs: budgets[at] }))
  );
  await pair.sim.sleep(1);
  return { filling, controllers, ends };
}

for (const [name, begin] of Object.entries(CALLS)) {
  for (const order of ["first to last", "last to first", "any order"]) {
    test(`aborting ${name} from ${order} costs each the same`, async () => {
      for (const count of COUNTS) {
        await withPair(CROWDED, async (pair) => {
          using links = new LinkCounter();
          const { filling, controllers, ends } = await queued(pair, begin, count);
          for (const controller of arranged(controllers, order)) controller.abort(order);
          for (const end of await Promise.all(ends)) assert.equal(end, { error: order });
          assert.ok(links.count <= LINKS_PER_CALL * count, `${links.count} links for ${count}`);
          pair.client.reset();
          await filling;
        });
      }
    });

    test(`timing ${name} out from ${order} costs each the same`, async () => {
      for (const count of COUNTS) {
        await withPair(CROWDED, async (pair) => {
          using links = new LinkCounter();
          const budgets: number[] = [];
          arranged(Array.from({ length: count }, (_, at) => at), order)
            .forEach((at, turn) => budgets[at] = 20 + turn);
          const { filling, ends } = await queued(pair, begin, count, budgets);
          for (const end of await Promise.all(ends) as { error: { code: string } }[]) {
            assert.is(end.error.code, "Timeout");
          }
          assert.ok(links.count <= LINKS_PER_CALL * count, `${links.count} links for ${count}`);
          pair.client.reset();
          await filling;
        });
      }
    });
  }
}

test("a completion follows no link of the sends that were not with the kernel", async () => {
  // Longer than one window, so that each is in an operation of its own, and takes several.
  const bytes = 66_000;
  for (const count of [20, 200]) {
    await withPair({ kernel: { sendCapacity: 16_384, recvCapacity: 16_384 } }, async (pair) => {
      using links = new LinkCounter();
      const sends = Array.from(
        { length: count },
        (_, key) => pair.client.sink.send(contentOf(key, bytes)),
      );
      for (let key = 0; key < count; key++) {
        const received = await pair.server.stream.recv(bytes);
        assert.bytesEqual(received.toUint8Array(), contentOf(key, bytes));
      }
      await Promise.all(sends);
      assert.ok(links.count <= 12 * count, `${links.count} links for ${count} sends`);
    });
  }
});

test("sends that are aborted one after the other at the head cost a flight each", async () => {
  for (const count of [1_000, 4_000]) {
    await withPair({ kernel: NARROW }, async (pair) => {
      const { client, sim } = pair;
      const filling = outcomeOf(client.sink.send(contentOf(1, 8_192)));
      await sim.sleep(5);
      using links = new LinkCounter();
      const controllers = Array.from({ length: count }, () => new AbortController());
      const ends = controllers.map(({ signal }) =>
        outcomeOf(client.sink.send("few bytes", { signal }))
      );
      for (const controller of controllers) {
        // The first one left is with the kernel: the cancel and its answer take some turns.
        controller.abort("enough");
        await sim.sleep(1);
      }
      for (const end of await Promise.all(ends)) assert.equal(end, { error: "enough" });
      const linkCountMax = count * 4.5 * LIMITS.batchCallCountMax;
      assert.ok(links.count <= linkCountMax, `${links.count} links for ${count} sends`);
      await filling;
      assert.not(client.sink.closed);
    });
  }
});

test("more cancels than a turn has room for reach the kernel once each", async () => {
  const sizes = { opCapacity: 8, completionCapacity: 16 };
  await withPair({ sizes }, async (pair) => {
    const { network, sim } = pair;
    sim.kernel.options.latencyMs = () => SILENT_MS;
    const controller = new AbortController();
    const ends = Array.from(
      { length: 200 },
      () => outcomeOf(network.dial("192.0.2.1:9", { signal: controller.signal })),
    );
    await sim.sleep(50);
    assert.is(network.context.recvRing.inFlight, 200);
    controller.abort("enough");
    for (const end of await Promise.all(ends)) assert.equal(end, { error: "enough" });
    await sim.sleep(50);
    assert.is(network.context.recvRing.inFlight, 0);
  });
});

test.run();
