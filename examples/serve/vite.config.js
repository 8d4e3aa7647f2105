/** The page and the server under one origin, as a reverse proxy in front of both would have them: no CORS is needed. */
const target = process.env.ATTUNE_URL ?? 'http://127.0.0.1:8080';
const proxy = { '/v1': { target } };

export default { server: { proxy }, preview: { proxy } };
