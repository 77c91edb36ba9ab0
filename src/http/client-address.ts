// Whose request is this? The peer of the socket, or what trusted proxies say in X-Forwarded-For. And is it meant for us?

import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { createHostNames } from "./host-names.ts";

/** Ranges from which metrics may be read: this machine and private networks. */
const privateRanges = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7", "fe80::/10"];

export interface AddressBook {
  /** The client's address: the last hop that is not a trusted proxy. */
  findClient(request: IncomingMessage): string;
  /** Whether the request comes from this machine or a private network, and names a host of ours, as far as that can be known. */
  isNear(request: IncomingMessage): boolean;
  /** Whether the host that the request names is one of `server.allowed_hosts`, where there are any. */
  isAllowedHost(request: IncomingMessage): boolean;
  /** Whether the address of a socket is a trusted proxy's. */
  isProxy(address: string): boolean;
  /** Whether the client speaks TLS to a trusted proxy in front of us. We speak none ourselves. */
  isSecure(request: IncomingMessage): boolean;
}

/** What proxies add, known ones and others; the one that we read is among them. */
const forwardingHeaders = [
  "x-forwarded-for",
  "forwarded",
  "x-real-ip",
  "via",
  "x-forwarded",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-envoy-external-address",
  "true-client-ip",
  "cf-connecting-ip",
  "fastly-client-ip",
];

/** `trustedProxies`: addresses or CIDR ranges, valid ones. `allowedHosts`: names without a port. */
export function createAddressBook(
  trustedProxies: readonly string[],
  allowedHosts: readonly string[] = [],
): AddressBook {
  const hosts = createHostNames(allowedHosts);
  const trusted = toBlockList(trustedProxies);
  const near = toBlockList(privateRanges);

  function findClient(request: IncomingMessage): string {
    let client = plain(request.socket.remoteAddress ?? "");
    const forwarded = request.headers["x-forwarded-for"];
    if (typeof forwarded !== "string") return client;
    for (const hop of forwarded.split(",").reverse()) {
      const address = plain(readHop(hop.trim()));
      if (!contains(trusted, client) || isIP(address) === 0) break;
      client = address;
    }
    return client;
  }

  return {
    findClient,
    isProxy: (address) => contains(trusted, plain(address)),
    isNear(request) {
      const { headers } = request;
      const client = findClient(request);
      const peer = plain(request.socket.remoteAddress ?? "");
      // A proxy forwards somebody whom only a trusted one names, and only in the header that we read.
      const isForwarded = forwardingHeaders.some((name) => headers[name] !== undefined);
      const isNamed = contains(trusted, peer) && headers["x-forwarded-for"] !== undefined;
      return contains(near, client) && (!isForwarded || isNamed) && hosts.isKnown(headers.host);
    },
    isAllowedHost: ({ headers }) => hosts.isAllowed(headers.host),
    isSecure(request) {
      const peer = plain(request.socket.remoteAddress ?? "");
      return request.headers["x-forwarded-proto"] === "https" && contains(trusted, peer);
    },
  };
}

function toBlockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", prefix] = range.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** Proxies write an address in quotes, in brackets, with its port; any other form stays as it is. */
function readHop(hop: string): string {
  const text = /^"(.*)"$/.exec(hop)?.[1] ?? hop;
  return /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text;
}

/** What counts as one address: of IPv6 the network (/64), within which a client may have as many as it likes. */
export function toCountedAddress(address: string): string {
  const own = plain(address);
  if (isIP(own) !== 6) return own;
  const [before = "", after] = own.replace(/%.*/, "").split("::");
  const groups = before === "" ? [] : before.split(":");
  const last = after === undefined || after === "" ? [] : after.split(":");
  const zeros = after === undefined ? 0 : Math.max(0, 8 - groups.length - last.length);
  const all = [...groups, ...Array<string>(zeros).fill("0"), ...last];
  return all
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ""))
    .join(":");
}

/** IPv4 in IPv6's clothes is IPv4. */
function plain(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
