// The conversation on one connection from the balancer: a PROXY header, then requests of HTTP/1.1.
//
//   GET /health    200 "well"
//   POST /reverse  the body backwards; `x-client` has the address that the PROXY header names
//
// While the process drains, an answer says "connection: close", and the balancer takes the next
// request elsewhere. The process ends no idle connection on its own before IDLE_MS: a request could
// already be under way. The balancer's limit for idle connections is shorter.
import { type Connection, readProxyHeader } from "../../mod.ts";

const HEADER_MS = 10_000;
const IDLE_MS = 20_000;
const BODY_BYTES_MAX = 1 << 20;

export async function converse(
  { stream, sink }: Connection,
  draining: AbortSignal,
  onAnswer: () => void,
): Promise<void> {
  const { source } = await readProxyHeader(stream, { timeoutMs: HEADER_MS });
  const client = source === null || "path" in source ? "-" : `${source.hostname}:${source.port}`;
  while (await stream.wait(1, { timeoutMs: IDLE_MS })) {
    const head = (await stream.recvUntil("\r\n\r\n", { timeoutMs: HEADER_MS })).text();
    const length = Number(/^content-length: *(\d{1,7})\r$/im.exec(head)?.[1] ?? 0);
    const isRequest = /^[A-Z]+ \S+ HTTP\/1\.[01]\r\n/.test(head) && length <= BODY_BYTES_MAX;
    if (!isRequest) return await sink.send(answer("400 Bad Request", "", client, false));
    const body = length === 0 ? "" : (await stream.recv(length, { timeoutMs: HEADER_MS })).text();
    const keep = !draining.aborted && !/^connection: *close\r$/im.test(head);
    if (head.startsWith("POST /reverse ")) {
      await sink.send(answer("200 OK", [...body].reverse().join(""), client, keep));
      onAnswer();
    } else if (head.startsWith("GET /health ")) {
      await sink.send(answer("200 OK", "well", client, keep));
    } else {
      await sink.send(answer("404 Not Found", "", client, keep));
    }
    if (!keep) return;
  }
}

function answer(status: string, body: string, client: string, keep: boolean): string {
  const { length } = new TextEncoder().encode(body);
  return `HTTP/1.1 ${status}\r\ncontent-length: ${length}\r\nx-client: ${client}\r\n` +
    `connection: ${keep ? "keep-alive" : "close"}\r\n\r\n${body}`;
}
