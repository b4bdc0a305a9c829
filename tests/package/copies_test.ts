/**
 * The libraries that are carried along as text: each is a file in ELF for its own machine, and asks
 * for nothing but the C library, by the name that glibc and musl answer to.
 *
 * Read with the tables of the ELF specification (System V ABI, chapters 4 and 5).
 *
 * @module
 */
import { createHash } from "node:crypto";

import { EMBEDDED, type EmbeddedLibrary } from "../../ffi/embedded.ts";
import { aarch64 } from "../../ffi/embedded/aarch64.ts";
import { x86_64 } from "../../ffi/embedded/x86_64.ts";
import { assert, suite } from "../harness.ts";

const SECTION_DYNAMIC = 6;
const TAG_NEEDED = 1n;
const TAG_SONAME = 14n;
/** e_machine */
const MACHINES: Record<string, number> = { x86_64: 62, aarch64: 183 };

function bytesOf({ base64 }: EmbeddedLibrary): Uint8Array {
  return Uint8Array.from(atob(base64()), (c) => c.charCodeAt(0));
}

interface Section {
  type: number;
  link: number;
  offset: number;
  sizeBytes: number;
}

function sections(view: DataView): Section[] {
  const table = Number(view.getBigUint64(40, true));
  const entryBytes = view.getUint16(58, true);
  return Array.from({ length: view.getUint16(60, true) }, (_, i) => {
    const at = table + i * entryBytes;
    return {
      type: view.getUint32(at + 4, true),
      link: view.getUint32(at + 40, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      sizeBytes: Number(view.getBigUint64(at + 32, true)),
    };
  });
}

/** The strings that the dynamic section names under `tag`. */
function dynamicStrings(bytes: Uint8Array, tag: bigint): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const all = sections(view);
  const dynamic = all.find(({ type }) => type === SECTION_DYNAMIC) as Section;
  const names = all[dynamic.link];
  const found: string[] = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.sizeBytes; at += 16) {
    if (view.getBigUint64(at, true) !== tag) continue;
    const start = names.offset + Number(view.getBigUint64(at + 8, true));
    found.push(new TextDecoder().decode(bytes.subarray(start, bytes.indexOf(0, start))));
  }
  return found;
}

const test = suite("embedded copies");

for (const [machine, copy] of Object.entries({ aarch64, x86_64 })) {
  test(`the library for ${machine} is what it says`, () => {
    assert.is(EMBEDDED[machine], copy);
    const bytes = bytesOf(copy);
    assert.is(bytes.length, copy.sizeBytes);
    assert.is(createHash("sha256").update(bytes).digest("hex"), copy.sha256);
    assert.equal([...bytes.subarray(0, 6)], [0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    assert.is(bytes[18] | (bytes[19] << 8), MACHINES[machine]);
    assert.equal(dynamicStrings(bytes, TAG_SONAME), [copy.soname]);
  });

  test(`the library for ${machine} needs nothing but the C library`, () => {
    assert.equal(dynamicStrings(bytesOf(copy), TAG_NEEDED), ["libc.so.6"]);
  });
}

test("every copy is made of the same sources", () => {
  assert.is(aarch64.sourceHash, x86_64.sourceHash);
  assert.equal(Object.keys(EMBEDDED).sort(), ["aarch64", "x86_64"]);
});

test.run();
