// The seam between the relay and what is kept of answers: a client whose bytes somebody else hears too.

import type { Client } from "./base/client.ts";
import type { NoteAnswer } from "./ledger/content-capture.ts";

/** `note` null, as it nearly always is: the client itself. */
export function captureAnswer(client: Client, note: NoteAnswer | null): Client {
  if (note === null) return client;
  return {
    sendWhole(answer) {
      note(answer.body);
      return client.sendWhole(answer);
    },
    openStream: (answer) => client.openStream(answer),
    write(bytes) {
      note(bytes);
      return client.write(bytes);
    },
    get unsentBytes() {
      return client.unsentBytes;
    },
    onDrained: (callback) => client.onDrained(callback),
    endStream: () => client.endStream(),
  };
}
