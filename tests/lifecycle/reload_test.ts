/**
 * Programs that the runtime loads anew in the same process, when a file changes or one test file
 * follows the other: the sockets and rings of the former program are gone by then.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { assert, suite } from "../harness.ts";
import { freePort } from "../support/free_port.ts";
import { endChildren, start } from "./child.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

interface Context {
  folder: string;
}

const test = suite<Context>("reload", {} as Context, { timeoutMs: 180_000 });

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), "uringnet-reload-"));
});

test.after.each(({ folder }) => {
  endChildren();
  rmSync(folder, { recursive: true });
});

/** Listens and has a receive pending, and counts the rings and eventfds of the process. */
const SERVER = `import { readdirSync, readlinkSync } from "node:fs";
import { Network } from "${ROOT}mod.ts";

const network = await Network.start({ backend: "io_uring" });
const listener = await network.bind("127.0.0.1:PORT");
const [client] = await Promise.all([network.dial(listener.localAddress), listener.accept()]);
void client.stream.recvSome();
const open = readdirSync("/proc/self/fd").filter((fd) => {
  try {
    return /io_uring|eventfd/.test(readlinkSync("/proc/self/fd/" + fd));
  } catch {
    return false; // The folder itself, which is closed again.
  }
});
console.log("version VERSION", listener.localAddress.port, open.length, "open");
`;

/** Saves each version of the program, and waits for its line. */
async function reload(folder: string, text: string): Promise<void> {
  const file = join(folder, "server.ts");
  const write = (version: number, port: string) => {
    writeFileSync(file, text.replace("VERSION", `${version}`).replace("PORT", port));
  };
  // While the program begins anew, no outgoing connection takes this port.
  const port = String(await freePort());
  write(0, port);
  const url = pathToFileURL(`${folder}/`);
  const program = start("server", { folder: url, flags: ["--watch"] });
  const [, open] = await program.line(/^version 0 \d+ (\d+) open$/m);
  for (const version of [1, 2, 3]) {
    write(version, port);
    // Deno watches the file only some time after the program has begun, and says nothing then.
    // Later each time: a slow machine begins the program anew with each write.
    let waitMs = 2_500;
    let writing = setTimeout(function again() {
      write(version, port);
      waitMs *= 2;
      writing = setTimeout(again, waitMs);
    }, waitMs);
    const [line] = await program.line(new RegExp(`^version ${version} .*|EADDRINUSE`, "m"));
    clearTimeout(writing);
    assert.is(line, `version ${version} ${port} ${open} open`);
  }
  program.kill();
}

test("a watched program has its port again, and no descriptor of the former one", ({ folder }) =>
  reload(folder, SERVER));

// Bun ends the process.
if ("Deno" in globalThis) {
  test("also after an uncaught error", ({ folder }) =>
    reload(folder, `${SERVER}throw new Error("later");\n`));
}

test.run();
