import { createHash } from "node:crypto";
import { bunRuntime } from "../../../ffi/bun.ts";
import { denoRuntime } from "../../../ffi/deno.ts";
import type { Libc } from "../../../ffi/libc.ts";
import { isWanted, type WantedFile, withLibraryFile } from "../../../ffi/library_file.ts";
import { assert, Random, suite } from "../../harness.ts";

const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const F_DUPFD_CLOEXEC = 1030;
const ALL_SEALS = 15;

const test = suite("library file");

const runtime = "Bun" in globalThis ? bunRuntime : denoRuntime;

/** The C library itself. */
const real = runtime.libc();
const digest = (bytes: Uint8Array) => runtime.sha256(bytes);

/** Content that no other test has made a file of. */
function newContent(): { bytes: Uint8Array; wanted: WantedFile } {
  const random = new Random();
  const bytes = Uint8Array.from({ length: 5_000 }, () => random.int(0, 255));
  const sha256 = digest(bytes);
  return { bytes, wanted: { name: "library-file-test", sizeBytes: bytes.length, sha256, digest } };
}

/** The C library, where some functions do something else. Counts what is open. */
function counted(changes: Partial<Libc>): Libc & { open: Set<number> } {
  const open = new Set<number>();
  const watch = (fd: number) => {
    if (fd >= 0) open.add(fd);
    return fd;
  };
  return {
    open,
    write: (fd, bytes, length) => real.write(fd, bytes, length),
    poll: (descriptors, count, timeoutMs) => real.poll(descriptors, count, timeoutMs),
    pread: (fd, bytes, length, offset) => real.pread(fd, bytes, length, offset),
    fcntl: (fd, command, argument) => {
      const result = real.fcntl(fd, command, argument);
      return command === F_ADD_SEALS || command === F_GET_SEALS ? result : watch(result);
    },
    ...changes,
    memfd_create: (name, flags) => watch((changes.memfd_create ?? real.memfd_create)(name, flags)),
    close(fd) {
      open.delete(fd);
      return real.close(fd);
    },
  };
}

const never = (): never => {
  throw new Error("called");
};

const fdOf = (path: string) => Number(path.slice("/proc/self/fd/".length));

test("the file is sealed against every change", () => {
  const { bytes, wanted } = newContent();
  const fd = withLibraryFile(real, wanted, () => bytes, fdOf);
  assert.is(real.fcntl(fd, F_GET_SEALS, 0) & ALL_SEALS, ALL_SEALS);
  assert.is(Number(real.write(fd, new Uint8Array(1), 1)), -1);
  assert.ok(isWanted(real, fd, wanted));
  real.close(fd);
});

test("a second search finds the same file", () => {
  const { bytes, wanted } = newContent();
  const first = withLibraryFile(real, wanted, () => bytes, fdOf);
  const second = withLibraryFile(real, wanted, never, fdOf);
  assert.is(second, first);
  real.close(first);
});

test("a file that could still change is not taken", () => {
  const { bytes, wanted } = newContent();
  const planted = real.memfd_create(new TextEncoder().encode(`${wanted.name}\0`), 3);
  assert.is(Number(real.write(planted, bytes, bytes.length)), bytes.length);
  assert.not.ok(isWanted(real, planted, wanted), "no seals");
  real.fcntl(planted, F_ADD_SEALS, 7 - 1);
  assert.not.ok(isWanted(real, planted, wanted), "not all seals");
  const fd = withLibraryFile(real, wanted, () => bytes, fdOf);
  assert.is.not(fd, planted);
  real.close(fd);
  real.close(planted);
});

test("a sealed file of the same name and size with other bytes is not taken", () => {
  const { bytes, wanted } = newContent();
  const planted = real.memfd_create(new TextEncoder().encode(`${wanted.name}\0`), 3);
  const other = bytes.slice();
  other[4_999] ^= 1;
  real.write(planted, other, other.length);
  real.fcntl(planted, F_ADD_SEALS, ALL_SEALS);
  assert.not.ok(isWanted(real, planted, wanted));
  real.close(planted);
});

test("where the kernel refuses to look at all descriptors at once, each is looked at", () => {
  const { bytes, wanted } = newContent();
  const first = withLibraryFile(real, wanted, () => bytes, fdOf);
  const libc = counted({ poll: () => -1 });
  assert.is(withLibraryFile(libc, wanted, never, fdOf), first);
  real.close(first);
});

test("only descriptors that are open are looked at", () => {
  const { bytes, wanted } = newContent();
  const first = withLibraryFile(real, wanted, () => bytes, fdOf);
  let looks = 0;
  const fcntl: Libc["fcntl"] = (fd, command, value) => {
    looks++;
    return real.fcntl(fd, command, value);
  };
  assert.is(withLibraryFile(counted({ fcntl }), wanted, never, fdOf), first);
  assert.ok(looks <= first + 1, `${looks} looks for descriptor ${first}`);
  const closed = real.fcntl(first, F_DUPFD_CLOEXEC, 900);
  real.close(first);
  looks = 0;
  assert.is(withLibraryFile(counted({ fcntl }), wanted, never, fdOf), closed);
  assert.ok(looks < 500, `${looks} looks among 900 numbers`);
  real.close(closed);
});

test("a longer file that begins with the bytes is not taken", () => {
  const { bytes, wanted } = newContent();
  const longer = { ...wanted, sizeBytes: wanted.sizeBytes - 1 };
  longer.sha256 = createHash("sha256").update(bytes.subarray(0, -1)).digest("hex");
  const fd = withLibraryFile(real, wanted, () => bytes, fdOf);
  assert.not.ok(isWanted(real, fd, longer));
  real.close(fd);
});

test("a short write is continued", () => {
  const { bytes, wanted } = newContent();
  const libc = counted({ write: (fd, rest) => real.write(fd, rest, Math.min(rest.length, 777)) });
  const fd = withLibraryFile(libc, wanted, () => bytes, fdOf);
  assert.ok(isWanted(real, fd, wanted));
  real.close(fd);
});

const failures: [name: string, changes: Partial<Libc>, message: RegExp][] = [
  ["a write that fails", { write: () => -1 }, /write to an anonymous file stopped at 0 bytes/],
  [
    "a seal that is refused",
    {
      fcntl: (fd, command, value) => command === F_ADD_SEALS ? -1 : real.fcntl(fd, command, value),
    },
    /sealing the file failed/,
  ],
  [
    "a file that is changed before it is sealed",
    {
      fcntl(fd, command, value) {
        if (command === F_ADD_SEALS) real.write(fd, new Uint8Array(1), 1);
        return real.fcntl(fd, command, value);
      },
    },
    /the SHA-256 of the file differs from/,
  ],
];

for (const [name, changes, message] of failures) {
  test(`${name} is an error and leaves no descriptor`, () => {
    const { bytes, wanted } = newContent();
    const libc = counted(changes);
    assert.throws(
      () => withLibraryFile(libc, wanted, () => bytes, never),
      message,
    );
    assert.is(libc.open.size, 0);
  });
}

test("without a descriptor it is an error", () => {
  const { bytes, wanted } = newContent();
  const libc = counted({ memfd_create: () => -1 });
  assert.throws(() => withLibraryFile(libc, wanted, () => bytes, fdOf), /memfd_create failed/);
});

test("where only files that cannot be executed are allowed, one of those is made", () => {
  const { bytes, wanted } = newContent();
  const kinds: number[] = [];
  const libc = counted({
    memfd_create(name, flags) {
      kinds.push(flags);
      return flags === 9 ? real.memfd_create(name, flags) : -1;
    },
  });
  const fd = withLibraryFile(libc, wanted, () => bytes, fdOf);
  assert.equal(kinds, [3, 9]);
  assert.ok(isWanted(real, fd, wanted));
  real.close(fd);
});

test("bytes that are not those of the build are refused", () => {
  const { bytes, wanted } = newContent();
  const changed = bytes.slice();
  changed[0] ^= 1;
  const libc = counted({});
  assert.throws(() => withLibraryFile(libc, wanted, () => changed, fdOf), /SHA-256/);
  assert.is(libc.open.size, 0);
});

test("two threads that make the file at once agree on the lower one", () => {
  const { bytes, wanted } = newContent();
  const others: number[] = [];
  const libc = counted({
    // The other thread is faster by the time between the search and this call.
    memfd_create(name, flags) {
      others.push(withLibraryFile(real, wanted, () => bytes, fdOf));
      return real.memfd_create(name, flags);
    },
  });
  const fd = withLibraryFile(libc, wanted, () => bytes, fdOf);
  assert.equal(others, [fd]);
  assert.is(libc.open.size, 0, "the file of its own is closed");
  real.close(fd);
});

test("a number under which another library is loaded is left for a higher one", () => {
  const { bytes, wanted } = newContent();
  const libc = counted({});
  const tried: number[] = [];
  const fd = withLibraryFile(libc, wanted, () => bytes, (path) => {
    tried.push(fdOf(path));
    if (tried.length < 3) throw new Error("another library");
    return fdOf(path);
  });
  assert.equal(tried, tried.toSorted((a, b) => a - b));
  assert.is(new Set(tried).size, 3);
  assert.equal([...libc.open], [fd]);
  real.close(fd);
});

test("when no number works, the last error is thrown and no descriptor is left", () => {
  const { bytes, wanted } = newContent();
  const libc = counted({});
  let count = 0;
  const refuse = () => {
    throw new Error(`refused ${++count}`);
  };
  assert.throws(() => withLibraryFile(libc, wanted, () => bytes, refuse), /refused 8/);
  assert.is(libc.open.size, 0);
});

test.run();
