/**
 * The meaning of a completion: one table for all operations.
 *
 *   result > 0                 progress
 *   result = 0                 zero: end of stream for a receive, an error for a send
 *   EAGAIN, EINTR              submit again, at once
 *   ENOBUFS, ENOMEM            submit again later, because the kernel needs time
 *   ECANCELED                  canceled; an error when no cancel was submitted
 *   anything else              error
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";

export type Outcome = "progress" | "zero" | "again" | "later" | "canceled" | "error";

export function outcomeOf(result: number): Outcome {
  if (result > 0) return "progress";
  if (result === 0) return "zero";
  switch (-result) {
    case ERRNO.EAGAIN:
    case ERRNO.EINTR:
      return "again";
    case ERRNO.ENOBUFS:
    case ERRNO.ENOMEM:
      return "later";
    case ERRNO.ECANCELED:
      return "canceled";
    default:
      return "error";
  }
}
