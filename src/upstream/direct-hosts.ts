// Which hosts are reached without the proxy, by the list in NO_PROXY. Its syntax is curl's: host names, which stand for their
// subdomains too, with a dot or "*." before them or without; ports; addresses; networks; "*" for all.

import { BlockList, isIP } from "node:net";

const portPattern = /^(.*?):(\d{1,5})$/;
const defaultPorts: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

/** `list`: entries with commas or spaces between them. */
export function createDirectHosts(list: string): (origin: string) => boolean {
  const networks = new BlockList();
  const names: { readonly name: string; readonly port: string | null }[] = [];
  for (const entry of list.toLowerCase().split(/[\s,]+/)) {
    if (entry === "" || addNetwork(networks, entry)) continue;
    const [, host = entry, port = null] = isIP(entry) === 0 ? (portPattern.exec(entry) ?? []) : [];
    names.push({ name: withoutBrackets(host).replace(/^\*?\./, ""), port });
  }

  return (origin) => {
    const { hostname, port, protocol } = new URL(origin);
    const host = withoutBrackets(hostname);
    const family = isIP(host);
    if (family !== 0 && networks.check(host, family === 6 ? "ipv6" : "ipv4")) return true;
    const actualPort = port || defaultPorts[protocol];
    return names.some(
      (entry) =>
        (entry.port === null || entry.port === actualPort) &&
        (entry.name === "*" || host === entry.name || (family === 0 && host.endsWith(`.${entry.name}`))),
    );
  };
}

/** False: the entry is no network. */
function addNetwork(networks: BlockList, entry: string): boolean {
  const [address = "", prefix = "", ...more] = entry.split("/");
  const family = isIP(withoutBrackets(address));
  const bits = Number(prefix);
  if (family === 0 || more.length > 0 || !/^\d{1,3}$/.test(prefix) || bits > (family === 6 ? 128 : 32)) return false;
  networks.addSubnet(withoutBrackets(address), bits, family === 6 ? "ipv6" : "ipv4");
  return true;
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
