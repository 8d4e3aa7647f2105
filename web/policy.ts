/**
 * The page's Content-Security-Policy: no other origins, no eval of JavaScript (WebAssembly may be compiled: it is the
 * device where there is no WebGPU), no inline styles (sizes of charts and the like are set through the CSSOM, which
 * requires none). It is in the built index.html, which applies to the page but not to its worker; sent as a header by
 * the host, it applies to the worker, too.
 */
export const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** Headers that a host should send with every file; the built `_headers` file states them for hosts that read it. */
export const HEADERS = {
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};
