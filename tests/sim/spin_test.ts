/**
 * Spins before sleeps, in the whole core: a peer whose answers take a known time on the fake clock,
 * so that wakeups are quick or slow, and the counts that the metrics publish.
 *
 * @module
 */
import { COUNT } from "../../src/base/meter.ts";
import { assert, Random, suite } from "../harness.ts";
import { type Pair, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/spin");

const BUDGET_US = 50;
const SPIN_US_MAX = 300;
/** The longest macrotask: a completion is noticed late by some of them. */
const STEP_US = 4;
/** A budget is looked at once in each macrotask, so the last one may begin within the budget. */
const ENDED_SPIN_US_MAX = BUDGET_US + STEP_US;
/** The number of spins that miss before a thread stops spinning. */
const MISSES_MAX = 6;

const quick = { kernel: { latencyMs: () => 0.001 }, stepMsMax: STEP_US / 1_000 };

/** The cost of the waits of a scenario. */
interface Waits {
  hits: number;
  misses: number;
  spunUs: number;
  wakeups: number;
}

function countsOf({ network }: Pair): Waits {
  const { counts } = network.context.recvRing.meter;
  return {
    hits: counts[COUNT.spinHits],
    misses: counts[COUNT.spinMisses],
    spunUs: counts[COUNT.spinSeconds] * 1e6,
    wakeups: counts[COUNT.wakeups],
  };
}

/** Receives a byte for each wait, which the peer's kernel sends after so many microseconds. */
async function play(pair: Pair, waitsUs: readonly number[]): Promise<Waits> {
  const { sim, client, serverSocket } = pair;
  const before = countsOf(pair);
  for (const [at, waitUs] of waitsUs.entries()) {
    const byte = at & 255;
    const receiving = client.stream.recv(1);
    sim.host.at(waitUs / 1_000, () => sim.kernel.write(serverSocket, new Uint8Array([byte])));
    assert.equal((await receiving).toUint8Array(), new Uint8Array([byte]));
  }
  const after = countsOf(pair);
  return {
    hits: after.hits - before.hits,
    misses: after.misses - before.misses,
    spunUs: after.spunUs - before.spunUs,
    wakeups: after.wakeups - before.wakeups,
  };
}

const repeated = (count: number, waitUs: number) => Array.from({ length: count }, () => waitUs);

for (const topology of ["shared", "split"] as const) {
  const options = { ...quick, config: { ring: { topology } } };

  test(`quick answers are spun for, and the thread never sleeps (${topology})`, async () => {
    await withSeeds(5, options, async (pair) => {
      const seen = await play(pair, repeated(200, 20));
      assert.ok(seen.hits >= 200, `${seen.hits} hits`);
      assert.equal([seen.misses, seen.wakeups], [0, 0]);
      assert.ok(seen.spunUs <= seen.hits * BUDGET_US, `${seen.spunUs} us`);
    });
  });

  test(`slow answers are slept for, after six spins at most (${topology})`, async () => {
    await withSeeds(5, options, async (pair) => {
      const seen = await play(pair, repeated(100, 10_000));
      assert.is(seen.hits, 0);
      assert.ok(seen.misses <= MISSES_MAX, `${seen.misses} misses`);
      assert.ok(seen.spunUs <= MISSES_MAX * SPIN_US_MAX, `${seen.spunUs} us`);
      assert.is(seen.wakeups, 100);
    });
  });

  test(`answers that become quick are spun for again (${topology})`, async () => {
    await withSeeds(5, options, async (pair) => {
      await play(pair, repeated(50, 10_000));
      // Some quick wakeups lead to a trial, and further ones to the next if the first missed.
      await play(pair, repeated(100, 20));
      const seen = await play(pair, repeated(100, 20));
      assert.equal([seen.misses, seen.wakeups], [0, 0]);
      assert.ok(seen.hits >= 100, `${seen.hits} hits`);
    });
  });
}

test("answers that take longer than a spin may cost are tried seldom", async () => {
  await withSeeds(3, quick, async (pair) => {
    await play(pair, repeated(200, 100));
    const seen = await play(pair, repeated(640, 100));
    assert.is(seen.hits, 0);
    assert.ok(seen.misses >= 8 && seen.misses <= 11, `${seen.misses} misses`);
    assert.ok(seen.spunUs <= seen.misses * ENDED_SPIN_US_MAX, `${seen.spunUs} us`);
    assert.is(seen.wakeups, 640);
  });
});

test("a hit costs no more than budgetUs, and a change of the answers six misses", async () => {
  await withSeeds(20, quick, async (pair, seed) => {
    const random = new Random(seed);
    const PHASES = 10;
    const total = { hits: 0, spunUs: 0 };
    for (let phase = 0; phase < PHASES; phase++) {
      const waitUs = random.pick([10, 20, 30, 60, 100, 150, 300, 2_000]);
      const { hits, spunUs } = await play(pair, repeated(40, waitUs));
      total.hits += hits;
      total.spunUs += spunUs;
    }
    const most = total.hits * BUDGET_US + PHASES * MISSES_MAX * SPIN_US_MAX;
    assert.ok(total.spunUs <= most, `${total.spunUs} us for ${total.hits} hits`);
  });
});

test("without spins every wait is a sleep, and no spin is counted", async () => {
  await withPair({ ...quick, config: { ring: { spin: false } } }, async (pair) => {
    await play(pair, repeated(10, 20)); // A wakeup of the dial may come behind it.
    const seen = await play(pair, repeated(50, 20));
    assert.equal(seen, { hits: 0, misses: 0, spunUs: 0, wakeups: 50 });
  });
});

test.run();
