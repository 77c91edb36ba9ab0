// From when on sessions of a user are good, after a change that voids the earlier ones.

/**
 * Unix seconds, later than any session's login before the change: logins are dated up to a second ahead, and not before
 * `before`, the value until now. Strictly more than that, also for changes within one second.
 */
export function nextTokensValidFrom(before: number, wallNowMs: number): number {
  return Math.max(Math.ceil(wallNowMs / 1_000), before) + 1;
}
