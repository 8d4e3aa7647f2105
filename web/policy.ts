/**
 * The page's Content-Security-Policy: nothing from elsewhere, nothing evaluated, no inline style (sizes of charts and the
 * like are set through the CSSOM, which needs none). It stands in the built index.html, which binds the page but not its
 * worker; hosts that send it as a header hold the worker to it, too.
 */
export const POLICY = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** What a host should send with every file; the built `_headers` says so to those that read such a file. */
export const HEADERS = {
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};
