/**
 * Bytes that can be told apart: every message has its own, and each knows its place. All are below
 * 128, so that they are text as well, and differ from the bytes that the fake kernel or a debug
 * pool writes.
 *
 * @module
 */
import { Random } from "../harness.ts";

/** A prime: no power of two hides a shift. */
const TABLE_BYTES = 65_521;
const table = new Random(20_240).bytes(TABLE_BYTES).map((byte) => byte & 0x7f);

/** The bytes `start` to `start + length` of the message with this key. */
export function contentOf(key: number, length: number, start = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let from = (key + start) % TABLE_BYTES;
  for (let at = 0; at < length;) {
    const count = Math.min(length - at, TABLE_BYTES - from);
    bytes.set(table.subarray(from, from + count), at);
    at += count;
    from = 0;
  }
  return bytes;
}
