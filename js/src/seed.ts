/** The seed of a generation whose caller gives none. Pure. */

const OFFSET = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;
const SPARE_BITS = 16n;

/**
 * Return the same seed for a submit that is made again, so that it is the same submit: FNV-1a of the
 * session and the job, its upper 48 bits, which a number of JavaScript keeps exact. The session is a
 * secret, so nobody can guess it. The Python client derives the same one; WebCrypto would not do,
 * since pages without TLS have none.
 */
export function seedOf(session: string, job: string): number {
  let digest = OFFSET;
  for (const byte of new TextEncoder().encode(`${session} ${job}`)) {
    digest = BigInt.asUintN(64, (digest ^ BigInt(byte)) * PRIME);
  }
  return Number(digest >> SPARE_BITS);
}
