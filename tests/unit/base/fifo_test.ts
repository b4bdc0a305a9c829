import { Fifo, type Linked } from "../../../src/base/fifo.ts";
import { assert, Random, suite } from "../../harness.ts";

interface Item extends Linked<Item> {
  id: number;
}

const item = (id: number): Item => ({ id, next: null });

/** All ids, by walking the links. */
function ids(fifo: Fifo<Item>): number[] {
  const result: number[] = [];
  for (let at = fifo.head; at !== null; at = at.next) result.push(at.id);
  return result;
}

const test = suite("Fifo");

test("Fifo.shift() returns items in the order of push() and then null", () => {
  const fifo = new Fifo<Item>();
  for (const id of [1, 2, 3]) fifo.push(item(id));
  assert.equal([fifo.shift()?.id, fifo.shift()?.id, fifo.shift()?.id], [1, 2, 3]);
  assert.is(fifo.shift(), null);
  assert.is(fifo.head, null);
  assert.is(fifo.count, 0);
});

test("Fifo.unshift() puts an item before all others, also into an empty queue", () => {
  const fifo = new Fifo<Item>();
  fifo.unshift(item(2));
  fifo.push(item(3));
  fifo.unshift(item(1));
  assert.equal(ids(fifo), [1, 2, 3]);
});

test("Fifo.remove() of the last item leaves a queue that push() continues", () => {
  const fifo = new Fifo<Item>();
  const items = [item(1), item(2), item(3)];
  for (const entry of items) fifo.push(entry);
  assert.ok(fifo.remove(items[2]));
  fifo.push(item(4));
  assert.equal(ids(fifo), [1, 2, 4]);
  assert.not.ok(fifo.remove(items[2]));
});

test("an item that left a queue holds no link to it", () => {
  const fifo = new Fifo<Item>();
  const items = [item(1), item(2), item(3)];
  for (const entry of items) fifo.push(entry);
  fifo.shift();
  fifo.remove(items[1]);
  assert.is(items[0].next, null);
  assert.is(items[1].next, null);
});

test("an item can stand in another queue after it left the first", () => {
  const first = new Fifo<Item>();
  const second = new Fifo<Item>();
  const entry = item(1);
  first.push(item(0));
  first.push(entry);
  first.push(item(2));
  first.remove(entry);
  second.push(entry);
  assert.equal([ids(first), ids(second)], [[0, 2], [1]]);
});

test("Fifo does the same as an array over thousands of random steps", () => {
  const random = new Random();
  const fifo = new Fifo<Item>();
  const model: Item[] = [];
  const gone: Item[] = [];
  for (let step = 0; step < 5_000; step++) {
    const kind = random.int(0, 9);
    if (kind < 4) {
      const entry = item(step);
      fifo.push(entry);
      model.push(entry);
    } else if (kind < 5) {
      const entry = item(step);
      fifo.unshift(entry);
      model.unshift(entry);
    } else if (kind < 7) {
      const expected = model.shift() ?? null;
      assert.is(fifo.shift(), expected);
      if (expected !== null) gone.push(expected);
    } else if (kind < 9 && model.length > 0) {
      const [entry] = model.splice(random.int(0, model.length - 1), 1);
      assert.ok(fifo.remove(entry));
      gone.push(entry);
    } else if (gone.length > 0) {
      assert.not.ok(fifo.remove(random.pick(gone)));
    }
    assert.is(fifo.count, model.length);
    assert.is(fifo.head, model[0] ?? null);
    if (step % 50 === 0) assert.equal(ids(fifo), model.map((entry) => entry.id));
  }
  assert.equal(ids(fifo), model.map((entry) => entry.id));
});

test.run();
