/**
 * Whether an accepted connection owes its peer an answer, for the end of a network.
 *
 * @module
 */

/**
 * The answer that an accepted connection owes its peer: from the moment at which received bytes
 * reach the program until the program sends.
 *
 *   ANSWER_NEVER   a dialed connection: its peer answers
 *   ANSWER_GIVEN --received--> ANSWER_OWED --sent--> ANSWER_GIVEN
 */
export const ANSWER_NEVER = 0;
export const ANSWER_GIVEN = 1;
export const ANSWER_OWED = 2;
/** The bits of any of these. */
export const ANSWER_MASK = 3;
export type AnswerState = typeof ANSWER_NEVER | typeof ANSWER_GIVEN | typeof ANSWER_OWED;
