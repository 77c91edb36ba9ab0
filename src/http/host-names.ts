// Under which names the gateway may be asked. A page of elsewhere can have its own name resolve to 127.0.0.1 or to a
// private address, and reads what it gets (DNS rebinding): its requests come from a near address and name a foreign host.

export interface HostNames {
  /** An address, a local name, or one of the configured ones: no stranger can have it resolve to this machine. */
  isKnown(host: string | undefined): boolean;
  /** The same where names are configured; else any. */
  isAllowed(host: string | undefined): boolean;
}

/** One label (localhost, a container's or service's name), and the names that no public resolver knows (RFC 6761, 6762, 9476). */
const localName = /^[^.]+$|\.(?:localhost|local|internal|lan|home\.arpa|svc|test)$/;
const address = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;

/** `allowed`: host names without a port. */
export function createHostNames(allowed: readonly string[]): HostNames {
  const names = new Set(allowed.map((name) => name.toLowerCase()));

  function isKnown(host: string | undefined): boolean {
    // Browsers always send one.
    if (host === undefined || host === "") return true;
    const name = host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
    return address.test(name) || localName.test(name) || names.has(name);
  }

  return { isKnown, isAllowed: (host) => names.size === 0 || isKnown(host) };
}
