import { DelimiterSearch } from "../../../src/base/delimiter_search.ts";
import { assert, Random, suite } from "../../harness.ts";

const encoder = new TextEncoder();
const bytes = (text: string) => encoder.encode(text);

/** Feeds the pieces; the index right behind the delimiter in all of them, or -1. */
function findIn(search: DelimiterSearch, pieces: Uint8Array[]): number {
  let at = 0;
  for (const piece of pieces) {
    const found = search.find(piece);
    if (found >= 0) return at + found;
    at += piece.length;
  }
  return -1;
}

const test = suite("DelimiterSearch");

test("find() returns the index right behind the first delimiter", () => {
  assert.is(new DelimiterSearch(bytes("\n")).find(bytes("one\ntwo\n")), 4);
  assert.is(new DelimiterSearch(bytes("\r\n")).find(bytes("\r\r\n\n")), 3);
  assert.is(new DelimiterSearch(bytes("aab")).find(bytes("aaaab")), 5);
  assert.is(new DelimiterSearch(bytes("x")).find(bytes("none")), -1);
  assert.is(new DelimiterSearch(bytes("x")).find(bytes("")), -1);
  assert.is(new DelimiterSearch(bytes("four")).length, 4);
});

test("a delimiter is found across any cut of the text", () => {
  const text = bytes("abaabaaabab--abacababac--");
  for (const delimiter of ["ababac", "aaab", "--", "c--", "abaabaaabab--abacababac--"]) {
    const wanted = new TextDecoder().decode(text).indexOf(delimiter) + delimiter.length;
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second++) {
        const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
        const search = new DelimiterSearch(bytes(delimiter));
        assert.is(findIn(search, pieces), wanted, `${delimiter} cut at ${first} and ${second}`);
      }
    }
  }
});

test("restart() forgets the beginning of a match", () => {
  const search = new DelimiterSearch(bytes("ab"));
  assert.is(search.find(bytes("xa")), -1);
  search.restart();
  assert.is(search.find(bytes("b")), -1);
  assert.is(search.find(bytes("ab")), 2);
});

test("a delimiter may be longer than 65,535 bytes", () => {
  const delimiter = new Uint8Array(70_000).fill(97);
  delimiter[69_999] = 98;
  const text = new Uint8Array(140_001).fill(97);
  text[140_000] = 98;
  const search = new DelimiterSearch(delimiter);
  assert.is(findIn(search, [text.subarray(0, 69_999), text.subarray(69_999)]), 140_001);
});

test("thousands of random texts agree with a search of the whole text", () => {
  const random = new Random();
  for (let i = 0; i < 3_000; i++) {
    const letters = random.int(1, 3);
    const draw = (length: number) =>
      Uint8Array.from({ length }, () => 97 + random.int(0, letters - 1));
    const text = draw(random.int(0, 200));
    const delimiter = draw(random.int(1, 6));
    const decoder = new TextDecoder();
    const at = decoder.decode(text).indexOf(decoder.decode(delimiter));
    const pieces: Uint8Array[] = [];
    for (let from = 0; from < text.length;) {
      const count = random.int(1, text.length - from);
      pieces.push(text.slice(from, from + count));
      from += count;
    }
    const wanted = at < 0 ? -1 : at + delimiter.length;
    assert.is(findIn(new DelimiterSearch(delimiter), pieces), wanted);
  }
});

test.run();
