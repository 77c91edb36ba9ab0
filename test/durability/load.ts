// Many clients at once, of several people: streams, whole answers, and clients that leave in the middle. Every call has
// a mark of its own, in its prompt and as its request id, so that whoever saw it can be asked about it.

import { hash } from "node:crypto";
import { Agent, request as openRequest } from "node:http";
import type { Random } from "../../src/simulator/random.ts";
import { chat } from "../support/gateway.ts";

export interface LoadCall {
  readonly mark: string;
  readonly user: string;
  readonly body: Buffer;
  readonly bodySha256: string;
  readonly isStream: boolean;
  /** sent · whole: all of a good answer came · refused: a status said no · left: by our own will · broken */
  outcome: "sent" | "whole" | "refused" | "left" | "broken";
  status: number | null;
}

export interface Person {
  readonly name: string;
  /** A session token or an API key. */
  readonly token: string;
}

export interface LoadOptions {
  readonly url: string;
  readonly people: readonly Person[];
  readonly random: Random;
  /** Begins every mark. At least five characters, or the marks are too short for request ids. */
  readonly prefix: string;
  readonly clients: number;
}

export interface Load {
  readonly calls: readonly LoadCall[];
  /** Begins no more calls; resolves when all have ended. */
  stop(): Promise<void>;
}

/** A client whose call fails waits so long, so that a gateway that is gone is not hammered. */
const failurePauseMs = 20;

export function startLoad({ url, people, random, prefix, clients }: LoadOptions): Load {
  const calls: LoadCall[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  let isStopped = false;

  function compose(): { call: LoadCall; token: string; leavesAfterBytes: number | null } {
    const { name, token } = random.pick(people);
    const mark = `${prefix}-${calls.length}`;
    const isStream = random.next() < 0.7;
    const wishes = `[frames=${1 + random.below(30)}] [delay=${random.below(4)}] [first=${random.below(40)}]`;
    const body = Buffer.from(JSON.stringify(chat(`${mark} ${wishes}`, { stream: isStream })));
    const leavesAfterBytes = random.next() < 0.15 ? random.below(2_000) : null;
    const bodySha256 = hash("sha256", body);
    return {
      call: { mark, user: name, body, bodySha256, isStream, outcome: "sent", status: null },
      token,
      leavesAfterBytes,
    };
  }

  async function live(): Promise<void> {
    while (!isStopped) {
      const { call, token, leavesAfterBytes } = compose();
      calls.push(call);
      await send(call, token, leavesAfterBytes);
      if (call.outcome === "broken" || call.outcome === "refused") {
        await new Promise((resolve) => setTimeout(resolve, failurePauseMs));
      }
    }
  }

  function send(call: LoadCall, token: string, leavesAfterBytes: number | null): Promise<void> {
    const headers = {
      "content-type": "application/json",
      "content-length": String(call.body.length),
      authorization: `Bearer ${token}`,
      "x-request-id": call.mark,
    };
    return new Promise((resolve) => {
      const end = (outcome: LoadCall["outcome"]) => {
        if (call.outcome === "sent") call.outcome = outcome;
        resolve();
      };
      const request = openRequest(`${url}/chat/completions`, { method: "POST", headers, agent }, (response) => {
        let bytes = 0;
        let tail = "";
        call.status = response.statusCode ?? 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          tail = (tail + chunk.toString("latin1")).slice(-64);
          if (leavesAfterBytes === null || bytes <= leavesAfterBytes) return;
          end("left");
          request.destroy();
        });
        response.on("error", () => end("broken"));
        response.on("end", () => {
          if (call.status !== 200) end("refused");
          else end(!call.isStream || tail.includes("[DONE]") ? "whole" : "broken");
        });
      });
      request.on("error", () => end("broken"));
      request.end(call.body);
    });
  }

  const living = Array.from({ length: clients }, live);
  return {
    calls,
    async stop() {
      isStopped = true;
      await Promise.all(living);
      agent.destroy();
    },
  };
}
