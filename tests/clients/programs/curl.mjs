// Runs curl against a server of this program. Output as text; the event loop goes on meanwhile.
import { spawn } from "node:child_process";
import { Buffer } from "node:buffer";

export function curl(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn("curl", ["--silent", "--show-error", "--max-time", "40", ...args]);
    const chunks = [];
    let errors = "";
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stderr.on("data", (chunk) => errors += chunk);
    child.on("error", reject);
    child.on("close", (code) => {
      const output = Buffer.concat(chunks);
      if (code === 0) resolve(output.toString("latin1"));
      else reject(new Error(`curl ended with ${code}: ${errors}`));
    });
  });
}

/** Listens on a free port and returns the address for curl. */
export function address(server, protocol = "http") {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      resolve(`${protocol}://127.0.0.1:${server.address().port}`);
    });
  });
}
