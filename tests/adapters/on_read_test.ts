/**
 * The `onread` option of a socket when a function of the program throws, or returns no buffer.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { Duplex } from "node:stream";
import { asyncScope } from "../../src/adapters/async_scope.ts";
import { type OnRead, readOnRead, ReadTarget } from "../../src/adapters/on_read.ts";
import { OnReadBuffers } from "../../src/adapters/on_read_buffers.ts";
import { assert, suite } from "../harness.ts";

const test = suite("adapters/onread");

test("a function that throws gets the bytes behind those that it has thrown for", async () => {
  const got: string[] = [];
  const source = { bytesRead: 0, receiveMore: () => void got.push("more") };
  const buffer = new Uint8Array(4);
  const callback = (count: number) => {
    got.push(Buffer.from(buffer.subarray(0, count)).toString());
    if (got.length === 1) throw new Error("of the program");
  };
  const stream = new Duplex({ read() {}, write() {} });
  const reader = new OnReadBuffers(source, stream, { buffer, callback }, asyncScope.capture());
  const bytes = Buffer.from("abcdefghij");
  assert.throws(() => reader.take(bytes, 0, bytes.length), /of the program/);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(got, ["abcd", "efgh", "ij", "more"]);
  assert.is(source.bytesRead, 10);
});

/** The option with a function that returns these values, or throws an error among them. */
function asking(answers: unknown[]): OnRead {
  const buffer = (): Uint8Array => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer as Uint8Array;
  };
  return { buffer, callback() {} };
}

test("a function that returns no buffer leaves the last one in use, as in Node", () => {
  const [first, second] = [new Uint8Array(3), new Uint8Array(2)];
  const target = new ReadTarget(asking([first, undefined, "text", second]));
  const bytes = Buffer.from("abcdefgh");
  const used: unknown[] = [];
  for (let at = 0; at < bytes.length; target.renew()) {
    at += target.fill(bytes, at, bytes.length);
    used.push(target.buffer);
  }
  assert.equal(used.map((buffer) => buffer === first), [true, true, true]);
  assert.equal([...first], [...Buffer.from("ghf")]);
  assert.is(target.fill(bytes, 0, bytes.length), 2);
  assert.is(target.buffer, second);
});

test("a program that names no buffer pauses its socket, and is not asked without end", async () => {
  const counts: number[] = [];
  const source = { bytesRead: 0, receiveMore: () => void counts.push(-1) };
  const onread = asking([new Error("of the program")]);
  onread.callback = (count) => void counts.push(count);
  const stream = new Duplex({ read() {}, write() {} });
  const reader = new OnReadBuffers(source, stream, onread, asyncScope.capture());
  assert.throws(() => reader.take(Buffer.from("abc"), 0, 3), /of the program/);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal([counts, source.bytesRead], [[0], 0]);
});

test("a buffer with a length and a set of its own gets the bytes that it has room for", () => {
  for (const length of [-3, NaN, 0.5, 1e9, Infinity, "2"]) {
    const buffer = new Uint8Array(4);
    Object.defineProperty(buffer, "length", { value: length });
    const views: unknown[] = [];
    Object.defineProperty(buffer, "set", { value: (bytes: unknown) => void views.push(bytes) });
    const target = new ReadTarget({ buffer, callback() {} });
    const bytes = Buffer.from("abcdefgh");
    assert.is(target.fill(bytes, 2, bytes.length), 4);
    assert.is(Buffer.from(buffer.buffer).toString(), "cdef");
    assert.equal(views, [], "the memory of the network is not shown");
  }
});

test("an object that only looks like a buffer is none", () => {
  const looks: unknown[] = [
    new Proxy(new Uint8Array(4), {}),
    Object.create(Uint8Array.prototype),
    Object.setPrototypeOf({ length: 4 }, Uint8Array.prototype),
  ];
  for (const buffer of looks) {
    assert.is(readOnRead({ buffer, callback() {} }), null);
    const first = new Uint8Array(3);
    const target = new ReadTarget(asking([first, buffer]));
    const bytes = Buffer.from("abcdef");
    assert.is(target.fill(bytes, 0, bytes.length), 3);
    target.renew();
    assert.is(target.buffer, first);
  }
});

test.run();
