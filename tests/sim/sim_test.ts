/**
 * The simulated world itself: when it says that a scenario hangs.
 *
 * @module
 */
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { withPair } from "../support/pair.ts";
import { Sim } from "../support/sim.ts";

const test = suite("sim/sim");

test("a world that loops without progress counts as hanging", async () => {
  const sim = new Sim();
  sim.idleStepLimit = 1_000;
  const goRound = () => sim.host.setMacrotask(goRound);
  goRound();
  const error = await assert.rejects(sim.run(() => sim.sleep(1_000)));
  assert.match(error.message, "the scenario does not end: 1001 steps");
});

test("a world in which a promise waits for nothing hangs", async () => {
  const error = await assert.rejects(new Sim().run(() => new Promise(() => {})));
  assert.match(error.message, "the scenario hangs");
});

test("a world that moves one byte now and then does not hang, however long it takes", async () => {
  const kernel = { sendCapacity: 1, latencyMs: () => 3 };
  const sim = await withPair({ kernel, faults: { staleFlag: 1 } }, async (pair) => {
    pair.sim.idleStepLimit = 1_000;
    const sending = pair.client.sink.send(contentOf(1, 50));
    (await pair.server.stream.recv(50)).release();
    await sending;
  });
  assert.ok(sim.stepCount > 5_000, `${sim.stepCount} steps`);
  assert.ok(sim.idleStepCountMax > 100, `${sim.idleStepCountMax} steps in which nothing moved`);
});

test.run();
