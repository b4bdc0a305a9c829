/**
 * The required behaviour of every backend and topology, over real sockets. The claims are those of
 * the specification, sections 2 to 7, and those that the original's own tests make.
 *
 * @module
 */
import { Network, type NetworkConfig } from "../../mod.ts";
import { suite } from "../harness.ts";
import {
  closeChecked,
  type ContractContext,
  type ContractSuite,
  descriptors,
  expectNoNewDescriptors,
} from "./fixture.ts";
import { accepting } from "./parts/accepting.ts";
import { arguments_ } from "./parts/arguments.ts";
import { bulk } from "./parts/bulk.ts";
import { closing } from "./parts/closing.ts";
import { connecting } from "./parts/connecting.ts";
import { cutOff } from "./parts/cut_off.ts";
import { delimiters } from "./parts/delimiters.ts";
import { ended } from "./parts/ended.ts";
import { flooded } from "./parts/flooded.ts";
import { flushing } from "./parts/flushing.ts";
import { hostile } from "./parts/hostile.ts";
import { networks } from "./parts/networks.ts";
import { peerEnd } from "./parts/peer_end.ts";
import { peerFinishing } from "./parts/peer_finishing.ts";
import { pushing } from "./parts/pushing.ts";
import { receiving } from "./parts/receiving.ts";
import { scarcity } from "./parts/scarcity.ts";
import { sendables } from "./parts/sendables.ts";
import { sending } from "./parts/sending.ts";
import { serving } from "./parts/serving.ts";
import { unixFiles } from "./parts/unix_files.ts";
import { multishot } from "./parts/multishot.ts";
import { sharedMemory } from "./parts/shared_memory.ts";
import { tampering } from "./parts/tampering.ts";
import { webStreams } from "./parts/web_streams.ts";
import { writeBuffering } from "./parts/write_buffering.ts";

/**
 * Leaves out the tests of these names, which say what does not hold for a backend. Every name has
 * to be one of a test.
 */
function without(test: ContractSuite, names: readonly string[]) {
  const left = new Set(names);
  const chosen: ContractSuite = Object.assign(
    ((name, body, options) => {
      if (!left.delete(name)) test(name, body, options);
    }) as ContractSuite,
    test,
  );
  const check = () => {
    if (left.size > 0) throw new Error(`No test of the contract: ${[...left].join("; ")}`);
  };
  return { chosen, check };
}

/** The whole contract for one configuration, to be run, but for the tests of these names. */
export function contract(
  name: string,
  config: NetworkConfig,
  differing: readonly string[] = [],
): ContractSuite {
  const context = {} as ContractContext;
  const whole = suite<ContractContext>(name, context);
  const { chosen: test, check } = without(whole, differing);

  test.before(async (context) => {
    // The library and the runtime's own helpers are loaded by the first network, for good.
    await (await Network.start(config)).close();
    context.descriptors = descriptors();
    context.network = await Network.start(config);
  });

  test.after(async ({ network, descriptors }) => {
    await closeChecked(network);
    await expectNoNewDescriptors(descriptors);
  });

  connecting(test, config);
  unixFiles(test, config);
  accepting(test, config);
  sendables(test, config);
  sharedMemory(test, config);
  sending(test, config);
  writeBuffering(test, config);
  flushing(test, config);
  receiving(test, config);
  delimiters(test, config);
  multishot(test, config);
  pushing(test, config);
  bulk(test, config);
  ended(test, config);
  cutOff(test, config);
  closing(test, config);
  flooded(test, config);
  peerFinishing(test, config);
  webStreams(test, config);
  peerEnd(test, config);
  serving(test, config);
  networks(test, config);
  scarcity(test, config);
  arguments_(test, config);
  hostile(test, config);
  tampering(test, config);
  check();
  return test;
}
