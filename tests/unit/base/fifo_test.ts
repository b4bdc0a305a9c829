import { Fifo, type Linked } from "../../../src/base/fifo.ts";
import { assert, Random, suite } from "../../harness.ts";

interface Item extends Linked<Item> {
  id: number;
}

const item = (id: number): Item => ({ id, next: null, previous: null });

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

test("Fifo.tail is the item that was pushed last of those in the queue", () => {
  const fifo = new Fifo<Item>();
  assert.is(fifo.tail, null);
  const items = [item(1), item(2), item(3)];
  for (const entry of items) fifo.push(entry);
  assert.is(fifo.tail, items[2]);
  fifo.remove(items[2]);
  assert.is(fifo.tail, items[1]);
  fifo.shift();
  assert.is(fifo.tail, items[1]);
  fifo.shift();
  assert.is(fifo.tail, null);
});

test("an item that has left a queue keeps no link to it", () => {
  const fifo = new Fifo<Item>();
  const items = [item(1), item(2), item(3)];
  for (const entry of items) fifo.push(entry);
  fifo.shift();
  fifo.remove(items[1]);
  fifo.remove(items[2]);
  for (const { next, previous } of items) assert.equal([next, previous], [null, null]);
});

test("an item can join another queue once it has left the first", () => {
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

test("Fifo.remove() of the head and of the tail in turn empties a queue from both ends", () => {
  const fifo = new Fifo<Item>();
  const items = [1, 2, 3, 4, 5].map(item);
  for (const entry of items) fifo.push(entry);
  for (const at of [0, 4, 1, 3]) assert.ok(fifo.remove(items[at]));
  assert.equal(ids(fifo), [3]);
  assert.ok(fifo.remove(items[2]));
  assert.is(fifo.head, null);
  fifo.push(items[4]);
  fifo.push(items[0]);
  assert.equal(ids(fifo), [5, 1]);
});

test("an item is not pushed twice", () => {
  const fifo = new Fifo<Item>();
  const entry = item(1);
  fifo.push(entry);
  assert.throws(() => fifo.push(entry), /one queue at a time/);
});

/** The orders in which a program may end its queued calls. */
const ORDERS: Readonly<Record<string, (items: Item[]) => Item[]>> = {
  "first to last": (items) => items,
  "last to first": (items) => items.toReversed(),
  "any order": (items) => new Random(7).shuffle(items),
};

for (const [order, arrange] of Object.entries(ORDERS)) {
  test(`Fifo.remove() from ${order} reads a fixed number of links for each item`, () => {
    for (const count of [100, 2_000]) {
      let linkCount = 0;
      const counted = (id: number): Item => {
        const links = { next: null as Item | null, previous: null as Item | null };
        return {
          id,
          get next() {
            linkCount++;
            return links.next;
          },
          set next(to) {
            links.next = to;
          },
          get previous() {
            linkCount++;
            return links.previous;
          },
          set previous(to) {
            links.previous = to;
          },
        };
      };
      const fifo = new Fifo<Item>();
      const items = Array.from({ length: count }, (_, id) => counted(id));
      for (const entry of items) fifo.push(entry);
      for (const entry of arrange(items)) assert.ok(fifo.remove(entry));
      assert.is(fifo.head, null);
      assert.ok(linkCount <= 8 * count, `${linkCount} links for ${count} items`);
    }
  });
}

test("Fifo does the same as an array over thousands of random steps", () => {
  const random = new Random();
  const fifo = new Fifo<Item>();
  const model: Item[] = [];
  const gone: Item[] = [];
  for (let step = 0; step < 5_000; step++) {
    const kind = random.int(0, 9);
    if (kind < 5) {
      const entry = item(step);
      fifo.push(entry);
      model.push(entry);
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
    assert.is(ids(fifo).length, model.length);
    assert.is(fifo.head, model[0] ?? null);
    if (step % 50 === 0) assert.equal(ids(fifo), model.map((entry) => entry.id));
  }
  assert.equal(ids(fifo), model.map((entry) => entry.id));
});

test.run();
