// What it takes to know who calls by a session token that was seen before.

import { systemClock } from "../../../src/base/clock.ts";
import { createSessionTokens } from "../../../src/identity/session-tokens.ts";
import type { Case } from "../case.ts";

const tokenCount = 1_000;

export const identity: Case[] = [
  {
    name: "token, seen before",
    note: "verify, 1,000 tokens in turn",
    bytes: null,
    async prepare() {
      const lifetimes = { tokenSeconds: 86_400, consoleIdleSeconds: 28_800, sessionSeconds: 86_400 };
      const tokens = createSessionTokens("a-secret-of-the-benchmark-32-bytes", lifetimes, systemClock);
      const known: string[] = [];
      for (let index = 0; index < tokenCount; index++) {
        const { sessionToken } = await tokens.issue(`user-${index}`, tokens.markOf(`user-${index}`), 0);
        await tokens.verify(sessionToken);
        known.push(sessionToken);
      }
      return {
        run(count) {
          for (let index = 0; index < count; index++) void tokens.verify(known[index % tokenCount] as string);
        },
      };
    },
  },
];
