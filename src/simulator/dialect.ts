// How a surface of the simulator says things: its errors, whole and among the frames of a stream, and the odd frames
// that faults put there. GLM's own dialect; the others are in dialects.ts.

import { type GlmError, toErrorBody } from "./glm-errors.ts";
import { doneFrame, type Plan, toJsonPlan } from "./plan.ts";

export interface Dialect {
  /** `status` goes before the one that the dialect would give the error. */
  toErrorPlan(error: GlmError, status?: number): Plan;
  /** An error among the frames of a stream, after which it ends. */
  toErrorFrame(error: GlmError): string;
  /** Says that the stream is at its end. */
  readonly lastFrame: Buffer;
  /** A frame that breaks off within its JSON. */
  readonly malformedFrame: string;
  /** A frame with everything empty. */
  readonly emptyFrame: string;
  /** What comes although the stream has ended. */
  readonly lateFrame: string;
  /** A frame that means nothing, with a line of at least that length. */
  toIdleFrame(bytes: number): string;
  /** A frame of more content, and where it may be put in among the others. */
  toMoreContent(text: string, pieces: readonly Buffer[]): { readonly frame: string; readonly at: number };
}

/** The frames of chat streams, which GLM and others share. */
export const chatFrames = {
  lastFrame: doneFrame,
  malformedFrame: 'data: {"choices":[{"delta":{"conte\n\n',
  emptyFrame: 'data: {"id":"","object":"","created":0,"model":"","choices":null,"usage":null}\n\n',
  lateFrame: 'data: {"late":true}\n\n',
  toIdleFrame: (bytes: number) => (bytes === 0 ? 'data: {"choices":[]}\n\n' : `data: {"x":"${"x".repeat(bytes)}"}\n\n`),
  toMoreContent: (text: string) => ({
    frame: `data: {"choices":[{"index":0,"delta":{"content":"${text}"}}]}\n\n`,
    at: 0,
  }),
};

export const glmDialect: Dialect = {
  ...chatFrames,
  toErrorPlan: (error, status = error.status) => toJsonPlan(toErrorBody(error), status, error.code),
  toErrorFrame: (error) => `data: ${JSON.stringify(toErrorBody(error))}\n\n`,
};
