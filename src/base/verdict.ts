// What an answer of the upstream tells of the key and the model that it was asked with, beyond the one call: the
// upstream stage reads it from GLM's business codes, admission draws the consequences.

export interface Verdict {
  readonly kind: VerdictKind;
  /** GLM's business code, or null when there was none. */
  readonly code: string | null;
  /** How long the upstream asks us to wait, or null when it does not say. For a quota: until it is reset. */
  readonly waitMs: number | null;
  /**
   * The request was fully sent and no answer of the upstream's own came: it may have been executed and paid for, so it
   * is not sent again. Absent: it was not, or sending it again has no effect.
   */
  readonly mayHaveRun?: boolean;
}

/**
 * good: an answer · rejected: the request's own fault, or an answer of no use: the key is fine, and nothing was
 * served · over_limit: too many calls at once (1302) ·
 * too_fast: too many starts (1303) · overloaded: not our fault (1305, 1312) · quota: used up until a reset (1304, 1308,
 * 1310 …) · account: this key serves nobody (1000–1004, 1113 …) · model_barred: this key does not serve the model (1311
 * …) · restricted: fair use, hammering makes it worse (1313) · failed: transient (500, 1230, 1234), or an answer
 * that broke off or was no HTTP · unreachable: no answer began (DNS, refused, reset) · silent:
 * no connection, or no first byte, within the time for it
 */
export type VerdictKind =
  | "good"
  | "rejected"
  | "over_limit"
  | "too_fast"
  | "overloaded"
  | "quota"
  | "account"
  | "model_barred"
  | "restricted"
  | "failed"
  | "unreachable"
  | "silent";
