import { DeliveryQueue } from "../../../../src/net/socket/delivery_queue.ts";
import { assert, suite } from "../../../harness.ts";

/** A consumer that notes its delivery, and may add others. */
function consumer(log: string[], name: string, onDelivery = () => {}) {
  return {
    deliver() {
      log.push(name);
      onDelivery();
    },
  };
}

const test = suite("DeliveryQueue");

test("items run after the code that added them, in one microtask, in order", async () => {
  const queue = new DeliveryQueue();
  const log: string[] = [];
  queue.add(consumer(log, "a"));
  queue.add(consumer(log, "b"));
  log.push("turn");
  queueMicrotask(() => log.push("microtask behind"));
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(log, ["turn", "a", "b", "microtask behind"]);
});

test("an item that is added during a delivery runs in a later microtask, once", async () => {
  const queue = new DeliveryQueue();
  const log: string[] = [];
  queue.add(consumer(log, "a", () => {
    queue.add(consumer(log, "later"));
    queueMicrotask(() => log.push("behind later"));
  }));
  queue.add(consumer(log, "b"));
  for (let i = 0; i < 5; i++) await Promise.resolve();
  assert.equal(log, ["a", "b", "later", "behind later"]);
});

test.run();
