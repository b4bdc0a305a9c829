/**
 * The `onread` option of a socket when the program's function throws.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { Duplex } from "node:stream";
import { asyncScope } from "../../src/adapters/async_scope.ts";
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

test.run();
