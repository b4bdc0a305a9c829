import { Rounds } from "../../../src/base/rounds.ts";
import { assert, suite } from "../../harness.ts";
import { ManualHost } from "../../support/manual_host.ts";

const test = suite("Rounds");

/** A queue of names, of which a round serves two. */
class Queue {
  readonly host = new ManualHost();
  readonly names: string[] = [];
  readonly served: string[] = [];
  onFirst = () => {};
  readonly rounds = new Rounds(this.host, () => this.#serveTwo(), () => this.names.length);

  add(...names: string[]): void {
    this.names.push(...names);
    this.rounds.begin();
  }

  serveOne(): void {
    this.served.push(this.names.shift() as string);
    this.rounds.noteServed();
  }

  /** Runs the macrotasks that are scheduled, and returns their number. */
  nextRound(): number {
    const tasks = this.host.macrotasks.splice(0);
    for (const task of tasks) task();
    return tasks.length;
  }

  #serveTwo(): void {
    const count = Math.min(this.names.length, 2);
    for (let i = 0; i < count; i++) this.serveOne();
    if (this.served.length === 1) this.onFirst();
  }
}

/** Notes when `emptied` resolves. */
function watch(queue: Queue): { isOver: boolean } {
  const state = { isOver: false };
  void queue.rounds.emptied().then(() => state.isOver = true);
  return state;
}

async function microtasks(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

test("entries are served in macrotasks, a part in each, and never at once", () => {
  const queue = new Queue();
  queue.add("a", "b", "c");
  assert.equal(queue.served, []);
  assert.is(queue.nextRound(), 1);
  assert.equal(queue.served, ["a", "b"]);
  assert.is(queue.nextRound(), 1);
  assert.equal(queue.served, ["a", "b", "c"]);
  assert.is(queue.nextRound(), 0);
});

test("one macrotask at a time is scheduled, for however many entries", () => {
  const queue = new Queue();
  queue.add("a");
  queue.add("b");
  assert.is(queue.nextRound(), 1);
  queue.add("c");
  assert.is(queue.nextRound(), 1);
  assert.equal(queue.served, ["a", "b", "c"]);
});

test("an entry that is queued during a round is served in the next one", () => {
  const queue = new Queue();
  queue.onFirst = () => queue.add("second");
  queue.add("first");
  assert.is(queue.nextRound(), 1);
  assert.equal(queue.served, ["first"]);
  assert.is(queue.nextRound(), 1);
  assert.equal(queue.served, ["first", "second"]);
  assert.is(queue.nextRound(), 0);
});

test("emptied() resolves at once without entries, else with the last one", async () => {
  const queue = new Queue();
  await queue.rounds.emptied();
  queue.add("a", "b", "c");
  const first = watch(queue);
  const second = watch(queue);
  queue.nextRound();
  await microtasks();
  assert.equal([first.isOver, second.isOver], [false, false]);
  queue.serveOne();
  await microtasks();
  assert.equal([first.isOver, second.isOver], [true, true]);
});

test("emptied() goes on waiting when the queue is filled again meanwhile", async () => {
  const queue = new Queue();
  queue.add("a");
  const waits = [watch(queue), watch(queue)];
  queue.nextRound();
  queue.add("b");
  await microtasks();
  assert.equal(waits.map(({ isOver }) => isOver), [false, false]);
  queue.nextRound();
  await microtasks();
  assert.equal(waits.map(({ isOver }) => isOver), [true, true]);
});

test("emptied() waits anew for a queue that was empty before", async () => {
  const queue = new Queue();
  queue.add("a");
  const first = watch(queue);
  queue.nextRound();
  await microtasks();
  assert.ok(first.isOver);
  queue.add("b");
  const second = watch(queue);
  await microtasks();
  assert.not.ok(second.isOver);
  queue.nextRound();
  await microtasks();
  assert.ok(second.isOver);
});

test.run();
