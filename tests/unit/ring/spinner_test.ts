import { COUNT, Meter } from "../../../src/base/meter.ts";
import { type SpinConfig, Spinner } from "../../../src/ring/spinner.ts";
import { assert, Random, suite } from "../../harness.ts";

const CONFIG = { budgetUs: 50, maxBudgetUs: 300, quickWakeUs: 150 };

/** How soon a thread learns that the kernel has a completion, when it sleeps. */
const WAKE_US = 30;

const test = suite("Spinner");

function newSpinner(config: SpinConfig | null): Spinner {
  return new Spinner(config, new Meter());
}

/** Waits of the given lengths: what the spins cost, how many of them hit, how many were slept. */
function play(spinner: Spinner, waitsUs: Iterable<number>) {
  const seen = { spentUs: 0, hits: 0, misses: 0, sleeps: 0 };
  for (const waitUs of waitsUs) {
    const { budgetUs } = spinner;
    if (waitUs <= budgetUs) {
      spinner.hit(waitUs);
      seen.hits++;
      seen.spentUs += waitUs;
      continue;
    }
    if (budgetUs > 0) {
      spinner.miss(budgetUs);
      seen.misses++;
      seen.spentUs += budgetUs;
    }
    spinner.woke(waitUs - budgetUs + WAKE_US);
    seen.sleeps++;
  }
  return seen;
}

function waits(count: number, waitUs: number): number[] {
  return Array.from({ length: count }, () => waitUs);
}

test("Spinner starts with the configured budget", () => {
  assert.is(newSpinner(CONFIG).budgetUs, 50);
});

test("a short wait is spun for each time", () => {
  const seen = play(newSpinner(CONFIG), waits(1_000, 20));
  assert.equal(seen, { spentUs: 20_000, hits: 1_000, misses: 0, sleeps: 0 });
});

test("a long wait is not spun for after six of them", () => {
  const seen = play(newSpinner(CONFIG), waits(1_000, 10_000));
  assert.is(seen.hits, 0);
  assert.is(seen.misses, 6);
});

test("a wait that costs more than it is worth is tried seldom, if its wakeups are quick", () => {
  const seen = play(newSpinner(CONFIG), waits(10_000, 90));
  assert.is(seen.hits, 0);
  assert.ok(seen.misses >= 10_000 / 65 - 6 && seen.misses <= 10_000 / 64 + 12, `${seen.misses}`);
});

test("a wait that becomes short is spun for again, after less than 100 quick wakeups", () => {
  const spinner = newSpinner(CONFIG);
  play(spinner, waits(10_000, 90));
  assert.ok(!spinner.pays);
  assert.ok(play(spinner, waits(100, 20)).sleeps < 100);
  assert.ok(spinner.pays);
  assert.is(play(spinner, waits(100, 20)).hits, 100);
});

test("a long sleep is no reason to try a spin", () => {
  const spinner = newSpinner(CONFIG);
  play(spinner, waits(100, 10_000));
  for (let i = 0; i < 1_000; i++) spinner.woke(150);
  assert.is(spinner.budgetUs, 0);
});

test("a spin lasts for twice the wait of a hit, between budgetUs and maxBudgetUs", () => {
  const spinner = newSpinner({ budgetUs: 50, maxBudgetUs: 80, quickWakeUs: 150 });
  play(spinner, waits(100, 5));
  assert.is(spinner.budgetUs, 50);
  play(spinner, waits(100, 35));
  assert.ok(Math.abs(spinner.budgetUs - 70) < 1, `${spinner.budgetUs}`);
  play(spinner, waits(100, 45));
  assert.is(spinner.budgetUs, 80);
});

test("a mixture of waits is spun for when its hits pay for its misses", () => {
  const random = new Random();
  const mixture = (shortPart: number) =>
    Array.from({ length: 10_000 }, () => random.int(1, 100) <= shortPart ? 15 : 2_000);
  // 90 % of 15 us, and a miss of 50 us for the rest: some 21 us for each hit.
  const worth = play(newSpinner(CONFIG), mixture(90));
  assert.ok(worth.hits > 8_000, `${worth.hits}`);
  // 20 % of 15 us: more than 200 us for each hit.
  const dear = play(newSpinner(CONFIG), mixture(20));
  assert.ok(dear.misses < 1_000, `${dear.misses}`);
});

test("hits, misses and their time are counted", () => {
  const meter = new Meter();
  const spinner = new Spinner(CONFIG, meter);
  const { hits, misses, spentUs } = play(spinner, [...waits(10, 20), ...waits(3, 1_000)]);
  assert.is(meter.counts[COUNT.spinHits], hits);
  assert.is(meter.counts[COUNT.spinMisses], misses);
  assert.ok(Math.abs(meter.counts[COUNT.spinSeconds] * 1e6 - spentUs) < 1e-6);
});

test("a Spinner without configuration never spins", () => {
  const spinner = newSpinner(null);
  play(spinner, waits(100, 1));
  assert.is(spinner.budgetUs, 0);
});

test("a budget of zero stays zero through hits, misses and quick wakeups", () => {
  const spinner = newSpinner({ budgetUs: 0, maxBudgetUs: 300, quickWakeUs: 150 });
  spinner.hit(1);
  spinner.miss(1);
  for (let i = 0; i < 100; i++) spinner.woke(0);
  assert.is(spinner.budgetUs, 0);
});

test("the budget is 0 or stays between its bounds whatever happens", () => {
  const random = new Random();
  const spinner = newSpinner(CONFIG);
  for (let i = 0; i < 5_000; i++) {
    const kind = random.int(0, 2);
    if (kind === 0) spinner.hit(random.int(0, 400));
    else if (kind === 1) spinner.miss(random.int(0, 400));
    else spinner.woke(random.int(0, 300));
    const { budgetUs } = spinner;
    assert.ok(budgetUs === 0 || (budgetUs >= 50 && budgetUs <= 300), `${budgetUs}`);
  }
});

test.run();
