/**
 * Listens and connects, and then has nothing to do.
 *
 * @module
 */
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import net from "../../../src/adapters/net.ts";

const server = net.createServer((socket) => void socket.unref().resume()).listen(0, "127.0.0.1");
await once(server, "listening");
const client: Socket = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
await once(client, "connect");
console.log("listening connected");
server.unref();
client.unref();
