/** Does only this machine reach the address? A name other than localhost may resolve to anything, so it does not count. */
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const LOOPBACK = new RegExp(`^(?:localhost|::1|\\[::1\\]|127(?:\\.${OCTET}){3})$`);

export const isLoopback = (host: string): boolean => LOOPBACK.test(host);
