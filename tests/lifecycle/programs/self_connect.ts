/**
 * Dials a port without a listener, again and again, in a network of its own whose kernel chooses
 * local ports from ten, that port among them: some of the sockets meet themselves.
 *
 * @module
 */
import { Network } from "../../../mod.ts";

const DIAL_COUNT = 200;

const network = await Network.start();
const endings = new Map<string, number>();
for (let i = 0; i < DIAL_COUNT; i++) {
  const address = `127.0.0.1:${40_000 + i % 10}`;
  const ending = await network.dial(address).then(async (connection) => {
    const { localAddress, remoteAddress } = connection;
    connection.reset();
    await connection.close();
    return `connected ${JSON.stringify(localAddress)} ${JSON.stringify(remoteAddress)}`;
  }, (error) => `${error.code} ${error.errno}`);
  endings.set(ending, (endings.get(ending) ?? 0) + 1);
}
for (const [ending, count] of endings) console.log(`<${count} times ${ending}>`);
await network.close();
