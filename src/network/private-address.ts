import { BlockList, isIP, isIPv6 } from 'node:net';

/** Not on the internet: this machine, local networks, clouds' metadata services (link-local), documentation, multicast (IANA's special-purpose registries). */
const PRIVATE = new BlockList();
for (const network of [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24'],
  ...['192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/128', '::1/128', '100::/64', '2001::/23', '2001:db8::/32', '2002::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
]) {
  const [address = '', bits] = network.split('/');
  PRIVATE.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** Addresses of IPv4 as IPv6-only networks write them (RFC 6052): the last 32 bits are the IPv4 address. */
const NAT64 = new BlockList();
NAT64.addSubnet('64:ff9b::', 96, 'ipv6');

/** @param address an IP address, without brackets. IPv4 in IPv6 (`::ffff:127.0.0.1`, NAT64) counts as IPv4 */
export function isPrivateAddress(address: string): boolean {
  if (!isIPv6(address)) return PRIVATE.check(address, 'ipv4');
  if (PRIVATE.check(address, 'ipv6')) return true;
  return NAT64.check(address, 'ipv6') && PRIVATE.check(lastFourBytes(address), 'ipv4');
}

/** Whether a URL has a private address in place of a name. */
export function namesPrivateAddress({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && isPrivateAddress(host);
}

/** @param hosts `name` or `name:port` */
export const isListed = ({ host, hostname }: URL, hosts: readonly string[]): boolean => hosts.includes(host) || hosts.includes(hostname);

function lastFourBytes(address: string): string {
  // A URL writes every address in its shortest form, in hexadecimal.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(':');
  const [high, low] = groups.slice(-2).map((group) => Number.parseInt(group || '0', 16)) as [number, number];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
