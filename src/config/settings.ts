// What the rest of the program sees of the configuration: validated, complete, milliseconds, camelCase.
// Types only. The file's own spelling (seconds, snake_case) is in schema.ts, the conversion in to-settings.ts.

import type { AdmissionLimits } from "../admission/scheduler.ts";
import type { CallTimeouts } from "../deadline.ts";
import type { Account } from "../identity/user-directory.ts";
import type { LogLevel } from "../observe/log.ts";
import type { ModelRule } from "../rules.ts";

export interface Settings {
  readonly server: ServerSettings;
  readonly auth: AuthSettings;
  readonly glm: GlmSettings;
  readonly rateLimit: AdmissionLimits;
  readonly log: { readonly level: LogLevel };
}

export interface ServerSettings {
  readonly host: string;
  /** 0 lets the system choose a free port. */
  readonly port: number;
  readonly bodyBytesMax: number;
  readonly shutdownGraceMs: number;
  /** A client that takes no byte of its answer for so long is cut. */
  readonly writeStallMs: number;
  /** Addresses or CIDR ranges whose forwarding headers are believed. */
  readonly trustedProxies: readonly string[];
}

export interface AuthSettings {
  /** At least 32 bytes. Signs and verifies session tokens. */
  readonly jwtSecret: string;
  /** Seconds, because that is the unit of the JWT claims and of `expires_in`. */
  readonly tokenTtlSeconds: number;
  readonly users: readonly Account[];
}

export interface GlmSettings {
  /** Name of the upstream key in logs and metrics: "default", or the name of the one `[[glm.keys]]`. */
  readonly keyName: string;
  readonly apiKey: string;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly timeouts: CallTimeouts;
  /** In file order; the first rule whose pattern matches wins. */
  readonly models: readonly ModelRule[];
  /** Model name that clients send -> model name that the upstream knows. */
  readonly aliases: ReadonlyMap<string, string>;
}
