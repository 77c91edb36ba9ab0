// What a failed exchange with the upstream means, by the error code of Node, OpenSSL or undici.

import { Refusal, type RefusalReason } from "../base/refusal.ts";

const reasonByCode: Readonly<Record<string, RefusalReason>> = {
  ENOTFOUND: "upstream_dns",
  EAI_AGAIN: "upstream_dns",
  EAI_NODATA: "upstream_dns",
  ECONNREFUSED: "upstream_refused",
  EHOSTUNREACH: "upstream_refused",
  ENETUNREACH: "upstream_refused",
  EADDRNOTAVAIL: "upstream_refused",
  ETIMEDOUT: "upstream_connect_timeout",
  UND_ERR_CONNECT_TIMEOUT: "upstream_connect_timeout",
  ECONNRESET: "upstream_reset",
  EPIPE: "upstream_reset",
  UND_ERR_SOCKET: "upstream_reset",
  UND_ERR_CLOSED: "upstream_reset",
  UND_ERR_DESTROYED: "upstream_reset",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "upstream_protocol",
  UND_ERR_HEADERS_OVERFLOW: "upstream_protocol",
  DEPTH_ZERO_SELF_SIGNED_CERT: "upstream_tls",
  SELF_SIGNED_CERT_IN_CHAIN: "upstream_tls",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "upstream_tls",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "upstream_tls",
  EPROTO: "upstream_tls",
};

/** `connectTimeoutMs` is named in the refusal's words. */
export function toTransportRefusal(error: Error & { code?: unknown }, connectTimeoutMs: number): Refusal {
  const first = error instanceof AggregateError ? (error.errors[0] as Error & { code?: unknown }) : error;
  const code = String(error.code ?? first?.code ?? "");
  const reason = reasonByCode[code] ?? reasonByPrefix(code);
  return new Refusal(reason, reason === "upstream_connect_timeout" ? { limit: connectTimeoutMs } : {}, error);
}

function reasonByPrefix(code: string): RefusalReason {
  if (code.startsWith("HPE_")) return "upstream_protocol";
  if (code.startsWith("ERR_TLS") || code.startsWith("ERR_SSL") || code.startsWith("CERT_")) return "upstream_tls";
  return "upstream_reset";
}
