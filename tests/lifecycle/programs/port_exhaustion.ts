/**
 * Dials until it has no local port left, in a network of its own with ten of them; frees one, and
 * goes on. Then dials where no route leads.
 *
 * @module
 */
import { type Connection, Network } from "../../../mod.ts";

const network = await Network.start();
const listener = await network.bind("127.0.0.1:5000");
const clients: Connection[] = [];
const servers: Connection[] = [];
void (async () => {
  for await (const connection of listener) servers.push(connection);
})();
const dial = (address: string) =>
  network.dial(address).then((connection) => {
    clients.push(connection);
    return "connected";
  }, (error) => `${error.code} ${error.errno}`);

let ending = "";
for (let i = 0; i < 20 && (ending === "connected" || ending === ""); i++) {
  ending = await dial("127.0.0.1:5000");
}
console.log(`<after ${clients.length}: ${ending}>`);
const freed = clients.pop() as Connection;
freed.reset();
await freed.close();
console.log(`<freed: ${await dial("127.0.0.1:5000")}>`);
console.log(`<no route: ${await dial("10.9.9.9:1")}>`);
for (const connection of clients) connection.reset();
await network.close();
console.log(`<left ${network.stats().connections}>`);
