import { type Waiting, WaitingList } from "../../../src/ring/waiting_list.ts";
import { assert, Random, suite } from "../../harness.ts";

/** Counts how often it is given a place: once when it is pushed, again when it is moved. */
class Waiter implements Waiting {
  placedCount = 0;
  #place = 0;

  constructor(readonly id: number) {}

  get place(): number {
    return this.#place;
  }

  set place(place: number) {
    this.#place = place;
    this.placedCount++;
  }
}

function waiters(count: number): Waiter[] {
  return Array.from({ length: count }, (_, id) => new Waiter(id));
}

/** Takes out all that is left. */
function drain(list: WaitingList<Waiter>): number[] {
  const ids: number[] = [];
  for (let next = list.shift(); next !== null; next = list.shift()) ids.push(next.id);
  return ids;
}

const test = suite("WaitingList");

test("WaitingList.shift() returns operations in the order of push() and then null", () => {
  const list = new WaitingList<Waiter>();
  for (const waiter of waiters(100)) list.push(waiter);
  assert.is(list.count, 100);
  assert.equal(drain(list), waiters(100).map(({ id }) => id));
  assert.is(list.shift(), null);
  assert.is(list.count, 0);
});

test("WaitingList.remove() takes out the first, one between and the last, each once", () => {
  const list = new WaitingList<Waiter>();
  const all = waiters(6);
  for (const waiter of all) list.push(waiter);
  for (const at of [2, 0, 5, 1]) {
    assert.ok(list.remove(all[at]));
    assert.not.ok(list.remove(all[at]));
  }
  assert.equal(drain(list), [3, 4]);
});

test("WaitingList.remove() returns false for an operation that waits in another list", () => {
  const [first, second] = [new WaitingList<Waiter>(), new WaitingList<Waiter>()];
  const [a, b] = waiters(2);
  first.push(a);
  second.push(b);
  assert.is(a.place, b.place);
  assert.not.ok(first.remove(b));
  assert.not.ok(second.remove(a));
  assert.not.ok(first.remove(new Waiter(3)));
  assert.equal([first.count, second.count], [1, 1]);
});

test("an operation that was taken out stands last when it is pushed again", () => {
  const list = new WaitingList<Waiter>();
  const all = waiters(3);
  for (const waiter of all) list.push(waiter);
  list.remove(all[0]);
  list.push(all[0]);
  assert.equal(drain(list), [1, 2, 0]);
});

test("many operations that come and go behind one that stays take no more room", () => {
  const list = new WaitingList<Waiter>();
  const [stays, other] = waiters(2);
  list.push(stays);
  for (let i = 0; i < 10_000; i++) {
    list.push(other);
    assert.ok(list.remove(other));
  }
  assert.is(list.capacity, 16);
  assert.ok(stays.placedCount < 2_000, `moved ${stays.placedCount} times`);
  assert.is(list.shift(), stays);
});

for (const order of ["first to last", "last to first", "any order"]) {
  test(`operations removed from ${order} are moved a fixed number of times each`, () => {
    for (const count of [100, 5_000]) {
      const list = new WaitingList<Waiter>();
      const all = waiters(count);
      const removals = order === "last to first"
        ? all.toReversed()
        : order === "any order"
        ? new Random(3).shuffle(all)
        : all;
      for (const waiter of all) list.push(waiter);
      for (const waiter of removals) assert.ok(list.remove(waiter));
      assert.is(list.count, 0);
      const placedCount = all.reduce((sum, waiter) => sum + waiter.placedCount, 0);
      assert.ok(placedCount <= 3 * count, `${placedCount} places for ${count} operations`);
    }
  });
}

test("an empty list gives a large array back", () => {
  const list = new WaitingList<Waiter>();
  for (const waiter of waiters(20_000)) list.push(waiter);
  assert.is(list.capacity, 32_768);
  drain(list);
  assert.is(list.capacity, 16);
  list.push(new Waiter(1));
  assert.equal(drain(list), [1]);
});

test("WaitingList does the same as an array over thousands of random steps", () => {
  const random = new Random();
  const list = new WaitingList<Waiter>();
  const model: Waiter[] = [];
  const gone: Waiter[] = [];
  for (let step = 0; step < 20_000; step++) {
    // Phases in which more come than go, and the other way around.
    const kind = random.int(0, 9) + (step % 2_000 < 1_000 ? -1 : 2);
    if (kind < 5) {
      const waiter = gone.length > 0 && random.chance(0.5)
        ? gone.splice(random.int(0, gone.length - 1), 1)[0]
        : new Waiter(step);
      list.push(waiter);
      model.push(waiter);
    } else if (kind < 7) {
      const expected = model.shift() ?? null;
      assert.is(list.shift(), expected);
      if (expected !== null) gone.push(expected);
    } else if (model.length > 0) {
      const [waiter] = model.splice(random.int(0, model.length - 1), 1);
      assert.ok(list.remove(waiter));
      gone.push(waiter);
    } else if (gone.length > 0) {
      assert.not.ok(list.remove(random.pick(gone)));
    }
    assert.is(list.count, model.length);
  }
  assert.equal(drain(list), model.map(({ id }) => id));
});

test.run();
