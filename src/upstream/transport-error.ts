// What a failed exchange means, in one table by the code or the name of the error as Node, OpenSSL and undici give
// them: the refusal, what it says of the upstream, and with the state of the send whether the request may have run.

import { Refusal, type RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import type { SendState } from "./request-bytes.ts";

export interface TransportFailure {
  readonly refusal: Refusal;
  /** Null: the fault is on this side. */
  readonly verdict: Verdict | null;
}

interface Meaning {
  readonly reason: RefusalReason;
  /** An upstream that answers what is no HTTP can be reached: its key need not rest. */
  readonly kind: "unreachable" | "silent" | "failed" | null;
}

const noAddress = unreachable("upstream_dns");
const noConnection = unreachable("upstream_refused");
/** It took its time already: the same key is not tried again. */
const noAnswer: Meaning = { reason: "upstream_connect_timeout", kind: "silent" };
const noTrust = unreachable("upstream_tls");
const broken = unreachable("upstream_reset");
const noHttp: Meaning = { reason: "upstream_protocol", kind: "failed" };
/** Of this machine: no file descriptors, no memory. */
const noResources: Meaning = { reason: "memory_full", kind: null };
const ownFault: Meaning = { reason: "internal_error", kind: null };
const unknown: Meaning = { reason: "upstream_reset", kind: "failed" };

const meanings: Readonly<Record<string, Meaning>> = {
  ENOTFOUND: noAddress,
  EAI_AGAIN: noAddress,
  EAI_FAIL: noAddress,
  EAI_NODATA: noAddress,
  EAI_NONAME: noAddress,
  ECONNREFUSED: noConnection,
  EHOSTDOWN: noConnection,
  EHOSTUNREACH: noConnection,
  ENETDOWN: noConnection,
  ENETUNREACH: noConnection,
  EADDRNOTAVAIL: noConnection,
  EACCES: noConnection,
  EPERM: noConnection,
  UND_ERR_PRX_CONN: noConnection,
  ETIMEDOUT: noAnswer,
  UND_ERR_CONNECT_TIMEOUT: noAnswer,
  EPROTO: noTrust,
  HOSTNAME_MISMATCH: noTrust,
  INVALID_CA: noTrust,
  INVALID_PURPOSE: noTrust,
  UND_ERR_PRX_TLS: noTrust,
  ECONNRESET: broken,
  ECONNABORTED: broken,
  EPIPE: broken,
  UND_ERR_SOCKET: broken,
  UND_ERR_CLOSED: broken,
  UND_ERR_DESTROYED: broken,
  UND_ERR_INFO: broken,
  UND_ERR_ABORTED: broken,
  // undici gives its parser's errors a name alone.
  HTTPParserError: noHttp,
  UND_ERR_HEADERS_OVERFLOW: noHttp,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: noHttp,
  EMFILE: noResources,
  ENFILE: noResources,
  ENOBUFS: noResources,
  ENOMEM: noResources,
  UND_ERR_INVALID_ARG: ownFault,
  UND_ERR_NOT_SUPPORTED: ownFault,
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: ownFault,
};

const meaningsByPrefix: readonly (readonly [RegExp, Meaning])[] = [
  [/^HPE_/, noHttp],
  [/^(?:ERR_TLS|ERR_SSL|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/, noTrust],
];

/** Errors that share their code with others of another meaning. */
const meaningsByWords: readonly (readonly [RegExp, Meaning])[] = [
  // undici's, for an unsolicited 100 Continue, a final head too many, and an upgrade that nobody asked for.
  [/^bad (?:response|upgrade)$/, noHttp],
  [/before secure TLS connection was established/, noTrust],
  [/^Proxy /, noConnection],
];

function unreachable(reason: RefusalReason): Meaning {
  return { reason, kind: "unreachable" };
}

type SystemError = Error & { readonly code?: unknown };

/** How far an exchange got, and the time that it had for its connection, which a refusal's words name. */
interface Progress {
  readonly sent: SendState;
  /** A head came. */
  readonly hasAnswered: boolean;
  readonly connectTimeoutMs: number;
}

export function judgeTransportError(
  error: SystemError,
  { sent, hasAnswered, connectTimeoutMs }: Progress,
): TransportFailure {
  const { reason, kind } = findMeaning(error, sent);
  const facts = reason === "upstream_connect_timeout" ? { limit: connectTimeoutMs } : {};
  return {
    refusal: new Refusal(reason, facts, describe(error)),
    verdict: kind && toVerdict(hasAnswered ? "failed" : kind, sent),
  };
}

/** What did not reach the upstream whole can't have run there. */
export function toVerdict(kind: NonNullable<Meaning["kind"]>, sent: SendState): Verdict {
  return { kind, code: null, waitMs: null, mayHaveRun: sent === "fully" };
}

function findMeaning(error: SystemError, sent: SendState): Meaning {
  // Of several addresses of a host, the first tells.
  const first = error instanceof AggregateError ? (error.errors[0] as SystemError) : error;
  const code = String(error.code ?? first?.code ?? error.name);
  const meaning =
    meaningsByWords.find(([words]) => words.test(error.message))?.[1] ??
    meanings[code] ??
    meaningsByPrefix.find(([prefix]) => prefix.test(code))?.[1];
  if (sent === "unsent") return meaning ?? noConnection;
  // A connection that stood does not fail to come about: the kernel gave it up, say.
  const isAboutConnecting = meaning === noConnection || meaning === noAnswer || meaning === noTrust;
  return isAboutConnecting ? broken : (meaning ?? unknown);
}

/** For the log. Not the error itself: undici puts bytes of the answer into some. */
function describe({ name, code, message }: SystemError): string {
  return `${name}${code === undefined ? "" : ` ${String(code)}`}: ${message}`;
}
