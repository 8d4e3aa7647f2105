import { FEDERATION, SERVER_STEPS } from '../../train/federated/terms.ts';
import { choiceFlag, command, type FlagsOf, required, text, withDefault, withoutDefault } from '../flags/declare.ts';
import { overwrite, set } from '../flags/shared.ts';
import { duration, integerFlag, list, numberFlag } from '../flags/values.ts';
import { missingPackage } from '../packages.ts';

const flags = {
  model: text('<path>', 'the model to start from, which stays as it is: a folder, or one packed file'),
  items: text('<path>', 'start from nothing instead: a public catalog (CSV or TSV with a header, or Parquet)'),
  recipe: withoutDefault(text('<name>', 'with --items: recipe of the model'), 'sasrec'),
  set: set('with --items: a setting of the model'),
  seed: withDefault(integerFlag('<n>', 'with --items: seed of the weights', 0), 1),
  out: required(text('<dir>', 'folder of the shared model, a model at any time; what is there is continued')),
  rounds: withDefault(integerFlag('<n>', 'rounds', 1), FEDERATION.rounds),
  clients: withDefault(integerFlag('<n>', 'updates that close a round', 1), FEDERATION.clients),
  leastClients: withoutDefault(integerFlag('<n>', 'updates that suffice at the deadline', 1), 'those of --clients'),
  deadline: withoutDefault(duration('<time>', 'time of a round, as 10m or 1h'), 'none'),
  steps: withDefault(integerFlag('<n>', 'steps of a client in a round', 1), FEDERATION.steps),
  rate: withDefault(numberFlag('<x>', 'learning rate of these steps, by SGD', { above: 0 }), FEDERATION.rate),
  clip: withDefault(numberFlag('<c>', "largest norm of a client's update; 0: as it is", { min: 0 }), FEDERATION.clip),
  noise: withDefault(
    numberFlag('<s>', 'noise in the sum of a round, in units of --clip; each client adds its part', { min: 0 }),
    FEDERATION.noise,
  ),
  trim: withDefault(
    numberFlag('<t>', 'share of clients, the loudest for each row, that are cut down to the next one', {
      min: 0,
      max: 0.5,
    }),
    FEDERATION.trim,
  ),
  server: withDefault(
    choiceFlag('<name>', 'step of the shared weights: average, or adam (FedAdam)', SERVER_STEPS),
    FEDERATION.server,
  ),
  serverRate: withDefault(numberFlag('<x>', 'learning rate of that step', { above: 0 }), FEDERATION.serverRate),
  host: withDefault(text('<host>', 'address to listen on'), '127.0.0.1'),
  port: withDefault(integerFlag('<n>', 'port to listen on; 0 takes a free one', 0), 8090),
  keys: text('<file>', 'API keys (attune keys add): one update a round and key; without them, this machine alone'),
  tlsCert: text('<file.pem>', 'certificate: serve HTTPS; requires --tls-key'),
  tlsKey: text('<file.pem>', 'private key of the certificate'),
  cors: list('<origin>', 'origin whose pages may take part, as https://shop.example, or *; may be repeated'),
  overwrite: overwrite('what is in --out'),
};

export type FederateFlags = FlagsOf<typeof flags>;

export default command({
  name: 'federate',
  summary: 'Coordinate federated rounds: clients train on histories that stay with them',
  details:
    'Each client (attune join, or a page) trains a few steps on its own history from the shared weights, clips and noises the change, and sends it. When a round has enough updates, their mean, bounded row by row, moves the shared weights, which are published in --out. Late, repeated, malformed and oversized updates are refused. The same command continues what it had when it was stopped. docs/federated.md says what the coordinator learns of its clients.',
  example: 'federate --model my-model --out shared --rounds 20 --clients 10',
  flags,
  run: async (flags) => (await import('./federate.ts').catch(missingPackage)).runFederate(flags),
});
