// TLS by node:tls over a connection: an echo server.
//
//   openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout key.pem -out cert.pem \
//     -subj /CN=localhost -addext subjectAltName=DNS:localhost
//   deno run --allow-ffi --allow-read examples/tls.ts key.pem cert.pem
//   bun examples/tls.ts key.pem cert.pem
//   then: openssl s_client -quiet -CAfile cert.pem -connect localhost:7007
//
// With a third argument, --once, a client trusts the certificate, and another one does not.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import process from "node:process";
import { pipeline } from "node:stream/promises";
import tls from "node:tls";
import { Network, serve } from "../mod.ts";
import { toDuplex } from "../src/adapters/duplex.ts"; // Bun: "uringnet/adapters/duplex"

const [keyPath = "key.pem", certPath = "cert.pem", flag] = process.argv.slice(2);
const [key, cert] = [keyPath, certPath].map((path) => readFileSync(path, "utf8"));
const isOnce = flag === "--once";

await using network = await Network.start();
const listener = await network.bind(isOnce ? "127.0.0.1:0" : "127.0.0.1:7007");
const server = serve(listener, async (connection) => {
  const socket = new tls.TLSSocket(toDuplex(connection), { isServer: true, key, cert });
  await pipeline(socket, socket);
}, { idleTimeoutMs: 60_000, onError: (error) => isOnce || console.error(error) });

/** Connects. Fails unless an authority has signed the server's certificate. */
async function connect(authorities: { ca?: string }): Promise<tls.TLSSocket> {
  const connection = await network.dial(listener.localAddress);
  const socket = tls.connect({
    socket: toDuplex(connection),
    servername: "localhost",
    ...authorities,
  });
  await once(socket, "secureConnect");
  return socket;
}

if (isOnce) {
  const client = await connect({ ca: cert });
  console.log("the certificate is trusted:", client.authorized);
  client.write("hello, nobody else reads this");
  const [answer] = await once(client, "data");
  console.log("echoed:", String(answer));
  client.end();
  await once(client, "close");
  await connect({}).catch((error) => console.log("without the authority:", error.code));
  await server.close();
}
await server.finished;
