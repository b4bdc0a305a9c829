/**
 * A program that a service manager starts: serves one greeting on each listener that it was given,
 * and says which one it came to.
 *
 * @module
 */
import { activatedListeners, Network, NetworkError, serve } from "../../../mod.ts";

const network = await Network.start();
try {
  const listeners = await activatedListeners(network);
  if (listeners.size === 0) console.log("none");
  const servers = [...listeners].map(([name, listener]) => {
    const server = serve(listener, async ({ stream, sink }) => {
      (await stream.recvUntil("\n")).release();
      await sink.send(`${name}\n`);
      void server.close();
    });
    return server;
  });
  if (servers.length > 0) console.log("ready");
  await Promise.all(servers.map(({ finished }) => finished));
} catch (error) {
  if (!(error instanceof NetworkError)) throw error;
  // A refused set is as it was: its first descriptor still listens.
  const still = await network.adoptListener(3).then(() => 1, () => 0);
  console.log(`${error.code} ${error.errno} ${error.message}; then ${still} listens`);
}
await network.close();
