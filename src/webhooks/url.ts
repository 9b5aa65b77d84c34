import { Refusal } from '../formats/refusal.ts';
import { isListed, namesPrivateAddress } from '../network/private-address.ts';

/**
 * Checks what can be known of a webhook's address without connecting; each attempt checks the address that the name has then.
 * @param privateHosts hosts that may have private addresses, and be spoken to without encryption
 * @throws Refusal
 */
export function checkWebhookUrl(text: string, privateHosts: readonly string[]): void {
  if (!URL.canParse(text)) throw invalid(`url is not an address`, 'Write it as https://host/path.');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    throw invalid('url has a user or a password', 'Leave them out: the receiver knows who sends an event by its signature.');
  if (isListed(url, privateHosts)) {
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid(`url begins with ${url.protocol}`, 'Use https: or http:.');
    return;
  }
  if (url.protocol !== 'https:')
    throw invalid(`url begins with ${url.protocol}`, 'Use https:. http: is for hosts that the operator lists in ALLOW_PRIVATE_HOSTS.');
  if (url.hostname === 'localhost' || namesPrivateAddress(url))
    throw invalid(`${url.host} is not on the internet`, 'The operator can allow it with ALLOW_PRIVATE_HOSTS.');
}

const invalid = (message: string, hint: string) => new Refusal('invalid_value', message, { param: 'url', hint });
