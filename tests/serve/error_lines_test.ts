/**
 * The line that a server writes to stderr about a failure, without `onError`.
 *
 * @module
 */
import { Network } from "../../mod.ts";
import { serveErrors } from "../../src/serve/serve_errors.ts";
import { closeChecked, connect, type ContractContext, socketPath } from "../contract/fixture.ts";
import { assert, suite } from "../harness.ts";

const test = suite<ContractContext>("error lines", {} as ContractContext);

test.before(async (context) => {
  context.network = await Network.start();
});
test.after(({ network }) => closeChecked(network));

test("a line names the peer; one without a name by its listener's path", async ({ network }) => {
  for (const address of ["127.0.0.1:0", { path: socketPath() }]) {
    await using pair = await connect(network, address);
    const { server, client } = pair;
    const { remoteAddress } = server;
    const peer = "port" in remoteAddress
      ? `127.0.0.1:${remoteAddress.port}`
      : `unix:${(client.remoteAddress as { path: string }).path}`;
    const wanted = `uringnet: serving ${peer} failed: on purpose`;
    assert.is(serveErrors.errorLine(new Error("on\npurpose"), server), wanted);
    server.reset();
    await server.close();
    assert.is(serveErrors.errorLine(new Error("on\npurpose"), server), wanted, "closed");
  }
});

test("a failed accept has no peer", () => {
  const line = serveErrors.errorLine(new Error("on purpose"), null);
  assert.is(line, "uringnet: accepting a connection failed: on purpose");
});

test.run();
