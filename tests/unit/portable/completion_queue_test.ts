import { CompletionQueue } from "../../../src/portable/completion_queue.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("CompletionQueue");

test("completions come out in order, as many as fit, with their signs", () => {
  const queue = new CompletionQueue();
  for (let i = 0; i < 5; i++) queue.push(i, i * 10, -i, 1);
  const target = new Int32Array(8);
  assert.is(queue.moveTo(target, 2), 2);
  assert.equal([...target], [0, 0, 0, 1, 1, 10, -1, 1]);
  queue.push(5, 50, -5, 1);
  assert.is(queue.count, 4);
  for (const [first, count] of [[2, 2], [4, 2]]) {
    assert.is(queue.moveTo(target, 2), count);
    assert.is(target[0], first);
  }
  assert.equal([queue.count, queue.moveTo(target, 2)], [0, 0]);
});

test.run();
