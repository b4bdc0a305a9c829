import { Spinner } from "../../../src/ring/spinner.ts";
import { assert, Random, suite } from "../../harness.ts";

const CONFIG = { budgetUs: 50, maxBudgetUs: 300, quickWakeUs: 150 };

const test = suite("Spinner");

test("Spinner starts with the configured budget", () => {
  assert.is(new Spinner(CONFIG).budgetUs, 50);
});

test("Spinner.hit() grows the budget by a quarter, up to the largest", () => {
  const spinner = new Spinner(CONFIG);
  spinner.hit();
  assert.is(spinner.budgetUs, 62.5);
  spinner.hit();
  assert.is(spinner.budgetUs, 78.125);
  for (let i = 0; i < 100; i++) spinner.hit();
  assert.is(spinner.budgetUs, 300);
});

test("Spinner.miss() shrinks the budget by an eighth, and ends it below a quarter of it", () => {
  const spinner = new Spinner(CONFIG);
  spinner.miss();
  assert.is(spinner.budgetUs, 43.75);
  for (let i = 0; i < 9; i++) spinner.miss();
  assert.ok(spinner.budgetUs >= 12.5, `${spinner.budgetUs}`);
  spinner.miss();
  assert.is(spinner.budgetUs, 0);
  spinner.hit();
  assert.is(spinner.budgetUs, 0, "nothing is hit without spinning");
});

test("Spinner.woke() after a short sleep grows the budget by half", () => {
  const spinner = new Spinner(CONFIG);
  spinner.woke(149.9);
  assert.is(spinner.budgetUs, 75);
  for (let i = 0; i < 100; i++) spinner.miss();
  spinner.woke(1);
  assert.is(spinner.budgetUs, 37.5, "one quick wake recovers from the floor");
  for (let i = 0; i < 100; i++) spinner.woke(0);
  assert.is(spinner.budgetUs, 300);
});

test("Spinner.woke() after a long sleep changes nothing", () => {
  const spinner = new Spinner(CONFIG);
  for (const sleptUs of [150, 151, 1e6]) spinner.woke(sleptUs);
  assert.is(spinner.budgetUs, 50);
});

test("a Spinner without configuration never spins", () => {
  const spinner = new Spinner(null);
  spinner.hit();
  spinner.woke(0);
  spinner.miss();
  assert.is(spinner.budgetUs, 0);
});

test("a budget of zero stays zero through hits and misses", () => {
  const spinner = new Spinner({ budgetUs: 0, maxBudgetUs: 0, quickWakeUs: 150 });
  spinner.hit();
  spinner.miss();
  spinner.woke(0);
  assert.is(spinner.budgetUs, 0);
});

test("the budget stays between its bounds whatever happens", () => {
  const random = new Random();
  const spinner = new Spinner(CONFIG);
  for (let i = 0; i < 5_000; i++) {
    const kind = random.int(0, 2);
    if (kind === 0) spinner.hit();
    else if (kind === 1) spinner.miss();
    else spinner.woke(random.int(0, 300));
    const { budgetUs } = spinner;
    assert.ok(budgetUs === 0 || (budgetUs >= 12.5 && budgetUs <= 300), `${budgetUs}`);
  }
});

test.run();
