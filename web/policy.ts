/**
 * The page's Content-Security-Policy: nothing from elsewhere, nothing evaluated, no inline style (sizes of charts and the
 * like are set through the CSSOM, which needs none). It stands in the built index.html; a host that also sends it as a
 * header holds the worker to it, too.
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
