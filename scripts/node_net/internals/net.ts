/**
 * The module that Node's tests find as `internal/net`: the counterparts in `uringnet/net`.
 *
 * @module
 */
import { NORMALIZED } from "../../../src/adapters/socket_arguments.ts";

export const normalizedArgsSymbol: symbol = NORMALIZED;
