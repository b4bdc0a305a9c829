// An HTTP/1.1 server: persistent connections, pipelining, bodies of a given length, limits.
//
//   deno run --allow-ffi examples/http.ts      bun examples/http.ts
//   then: curl -d hello http://127.0.0.1:7004/echo
//
// With --once it asks itself and ends.
import process from "node:process";
import { type Connection, Network, serve } from "../mod.ts";

const BYTES_MAX = { head: 16_384, body: 1 << 20 };

function answer(status: string, body: string, keep: boolean, method = ""): string {
  const { length } = new TextEncoder().encode(body);
  const sent = method === "HEAD" ? "" : body; // Such an answer has the length alone.
  return `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\n` +
    `content-length: ${length}\r\nconnection: ${keep ? "keep-alive" : "close"}\r\n\r\n${sent}`;
}

/** One request and its answer. False when the connection ends. */
async function exchange({ stream, sink }: Connection, draining: AbortSignal): Promise<boolean> {
  if (!(await stream.wait(1, { signal: draining }))) return false; // An end between requests.
  const head = (await stream.recvUntil("\r\n\r\n", { maxLength: BYTES_MAX.head })).text();
  const [start, ...lines] = head.trimEnd().split("\r\n");
  const [, method, path] = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(start) ?? [];
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  const length = headers.get("content-length") ?? "0";
  const isSimple = /^\d{1,7}$/.test(length) && !headers.has("transfer-encoding");
  if (method === undefined || !isSimple || Number(length) > BYTES_MAX.body) {
    await sink.send(answer("400 Bad Request", "what is this?\n", false));
    return false;
  }
  const body = (await stream.recv(Number(length))).text();
  const keep = headers.get("connection")?.toLowerCase() !== "close" && !draining.aborted;
  let [status, text] = ["404 Not Found", "nothing here\n"];
  if (path === "/echo") [status, text] = ["200 OK", body];
  if (path === "/") [status, text] = ["200 OK", `${method} from uringnet\n`];
  await sink.send(answer(status, text, keep, method));
  return keep;
}

await using network = await Network.start();
const once = process.argv.includes("--once");
const listener = await network.bind(once ? "127.0.0.1:0" : "127.0.0.1:7004");
const server = serve(listener, async (connection, { signal }) => {
  while (await exchange(connection, signal));
}, { idleTimeoutMs: 60_000 });
if (once) {
  await using client = await network.dial(listener.localAddress);
  await client.sink.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
  const post = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
  await client.sink.send(`${post}GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  for await (const line of client.stream.lines()) {
    if (/^HTTP|hello|here|from/.test(line)) console.log(line);
  }
  void server.close();
}
await server.finished;
