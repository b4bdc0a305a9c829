/**
 * Deno programs with too few permissions: the error names the flag that is missing.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";
import { emptyDirectory, run, tool } from "./tools.ts";

/** Prints the error of a dial and of a bind by name; numeric addresses work. */
const PROGRAM = `import { Network } from "${ROOT}mod.ts";

await using network = await Network.start({ backend: "io_uring" });
await network.bind("127.0.0.1:0");
await network.bind("localhost:0");
const show = (error) => console.log(error.code, error.errno, error.message);
await network.dial("name.invalid:80").catch(show);
await network.bind("name.invalid:0").catch(show);
`;

const test = suite("permissions in Deno", {}, { timeoutMs: 60_000 });

/** A file whose permissions were changed by its name, afterwards, would need `--allow-write`. */
const SOCKET_FILE = `import net from "${ROOT}src/adapters/net.ts";

const server = net.createServer();
server.listen({ path: "socket", readableAll: true, writableAll: true }, () => {
  console.log("listening");
  server.close(() => console.log("closed"));
});
`;

async function output(flags: string[], program = PROGRAM): Promise<string[]> {
  using directory = emptyDirectory();
  writeFileSync(join(directory.path, "program.ts"), program);
  const command = [tool("deno"), "run", "--no-prompt", "--allow-ffi", ...flags, "program.ts"];
  const ran = await run(command, { cwd: directory.path });
  assert.is(ran.code, 0, ran.errors);
  return ran.output.trim().split("\n");
}

const REFUSAL = "getaddrinfo EPERM name.invalid: Deno looks up names only with " +
  "--allow-net=name.invalid, or --allow-net for every name";

for (const flags of [[], ["--allow-net=name.invalid:80"], ["--allow-net=127.0.0.1"]]) {
  test(`a lookup with ${flags[0] ?? "no flag"} names the flag that it needs`, async () => {
    assert.equal(await output(flags), [
      `ConnectionFailed null Cannot connect to name.invalid:80: name lookup failed: ${REFUSAL}`,
      `BindFailed null Cannot bind name.invalid:0: name lookup failed: ${REFUSAL}`,
    ]);
  });
}

for (const flag of ["--allow-net", "--allow-net=name.invalid"]) {
  test(`a lookup that fails with ${flag} says what the resolver says`, async () => {
    for (const line of await output([flag])) {
      assert.match(line, /name lookup failed: getaddrinfo E\w+ name\.invalid$/);
    }
  });
}

test("listen() on a path, readable and writable for all, needs --allow-ffi alone", async () => {
  assert.equal(await output([], SOCKET_FILE), ["listening", "closed"]);
});

/** Prints the answers of the portable backend for addresses, of which the flags allow some. */
const PORTABLE = `import { Network } from "${ROOT}mod.ts";

await using network = await Network.start({ backend: "portable" });
const bound = (listener) => console.log("bound", listener.localAddress.hostname);
const show = (error) => console.log(error.code, error.errno);
await network.bind("127.0.0.1:0").then(bound, show);
await network.bind("[::1]:0").then(bound, show);
await network.bind("unix:no.socket").then(bound, show);
await network.dial("[::1]:9").catch(show);
`;

test("portable: an address without its permission is EACCES, and the program goes on", async () => {
  const refused = "BindFailed EACCES";
  const rest = [refused, refused, "ConnectionFailed EACCES"];
  assert.equal(await output([], PORTABLE), [refused, ...rest]);
  assert.equal(await output(["--allow-net=127.0.0.1"], PORTABLE), ["bound 127.0.0.1", ...rest]);
});

test.run();
