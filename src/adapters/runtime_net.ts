/**
 * The runtime's own `node:net`, as it is when the adapters are loaded: before `uringnet/register`
 * has put another in its place.
 *
 * @module
 */
import { type RuntimeNet, runtimeNet as keptNet } from "../base/runtime_net.ts";

export const runtimeNet: RuntimeNet = keptNet();
