import { missingPackage } from '../packages.ts';
import { choiceFlag, command, type FlagsOf, parsed, text, withDefault, withoutDefault } from '../flags/declare.ts';
import { data, device, logFlags, model, progress } from '../flags/shared.ts';
import { duration, integerFlag, list, numberFlag } from '../flags/values.ts';

const time = duration('<when>', '');

/** A number of events, or a time. */
function learnAfter(given: string): { events: number } | { ms: number } {
  const events = Number(given);
  if (Number.isSafeInteger(events) && events >= 1) return { events };
  return { ms: 1000 * (time.parse?.(given, undefined) as number) };
}

const flags = {
  model,
  models: withoutDefault(text('<dir>', 'where POST /v1/models takes other models from'), 'the folder that MODEL is in'),
  ratings: text('<dir>', 'a model of ratings (train --task rating) for POST /v1/ratings'),
  host: withDefault(text('<host>', 'address to listen on'), '127.0.0.1'),
  port: withDefault(integerFlag('<n>', 'port to listen on; 0 takes a free one', 0), 8080),
  store: withoutDefault(
    text('<store>', 'where users, events and items are kept: a SQLite file, or postgres://USER@HOST/DATABASE'),
    'MODEL.store.db',
  ),
  data: data('a log to fill an empty store with'),
  items: text('<path>', 'titles and attributes of the items, for an empty store: CSV or TSV with a header, or Parquet'),
  users: text('<path>', 'columns of the users, for an empty store: CSV or TSV with a header, or Parquet'),
  ...logFlags,
  progress,
  learn: parsed(
    '<when>',
    'update the model with what is collected, after so many events (10000) or so long (12h, 7d); needs the log of the training',
    learnAfter,
  ),
  learnMinutes: withDefault(numberFlag('<m>', 'time of such an update', { above: 0 }), 5),
  config: text('<file.json>', 'scenarios, weights of event types, limits: see docs/serving.md'),
  keys: text('<file>', 'API keys (attune keys add); without them only this machine may ask'),
  tlsCert: text('<file.pem>', 'certificate: serve HTTPS; requires --tls-key'),
  tlsKey: text('<file.pem>', 'private key of the certificate'),
  cors: list('<origin>', 'origin whose pages may ask, as https://shop.example, or * for all; may be repeated'),
  trustProxy: list(
    '<address>',
    'address or network of a proxy in front, whose X-Forwarded-For and X-Request-Id are believed; may be repeated',
  ),
  log: withDefault(
    choiceFlag('<level>', 'what is logged, as JSON lines on standard output', [
      'silent',
      'error',
      'warn',
      'info',
      'debug',
    ]),
    'info',
  ),
  device,
};

export type ServeFlags = FlagsOf<typeof flags>;

export default command({
  name: 'serve',
  summary: 'Serve recommendations over HTTP',
  details:
    'Takes events, items and users, and answers with recommendations: /docs lists the routes, /openapi.json describes them. Events are kept in a SQLite file beside the model, or in a PostgreSQL database that several servers share (its password: PGPASSWORD or ~/.pgpass).',
  example: 'serve --model my-model --port 8080',
  flags,
  run: async (flags) => (await import('./serve.ts').catch(missingPackage)).runServe(flags),
});
