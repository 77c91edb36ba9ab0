// Whose request is this? The peer of the socket, or what trusted proxies say in X-Forwarded-For.

import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

/** Ranges from which metrics may be read: this machine and private networks. */
const privateRanges = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7", "fe80::/10"];

export interface AddressBook {
  /** The client's address: the last hop that is not a trusted proxy. */
  findClient(request: IncomingMessage): string;
  /** Whether the request comes from this machine or a private network, as far as that can be known. */
  isNear(request: IncomingMessage): boolean;
  /** Whether the client speaks TLS to a trusted proxy in front of us. We speak none ourselves. */
  isSecure(request: IncomingMessage): boolean;
}

/** `trustedProxies`: addresses or CIDR ranges, valid ones. */
export function createAddressBook(trustedProxies: readonly string[]): AddressBook {
  const trusted = toBlockList(trustedProxies);
  const near = toBlockList(privateRanges);

  function findClient(request: IncomingMessage): string {
    let client = plain(request.socket.remoteAddress ?? "");
    const forwarded = request.headers["x-forwarded-for"];
    if (typeof forwarded !== "string") return client;
    for (const hop of forwarded.split(",").reverse()) {
      const address = plain(hop.trim());
      if (!contains(trusted, client) || isIP(address) === 0) break;
      client = address;
    }
    return client;
  }

  return {
    findClient,
    isNear(request) {
      const client = findClient(request);
      // A proxy that we were not told of forwards somebody whom we do not know.
      const isForwarded = request.headers["x-forwarded-for"] !== undefined || request.headers.forwarded !== undefined;
      const peer = plain(request.socket.remoteAddress ?? "");
      return contains(near, client) && (!isForwarded || contains(trusted, peer));
    },
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

/** IPv4 in IPv6's clothes is IPv4. */
function plain(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
