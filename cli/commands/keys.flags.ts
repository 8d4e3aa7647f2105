import { ROLES } from '../../server/http/roles.ts';
import { choiceFlag, command, type FlagsOf, required, text } from '../flags/declare.ts';
import { json } from '../flags/shared.ts';

const flags = {
  keys: required(text('<file>', 'file of the keys, the one that serve takes')),
  role: choiceFlag('<name>', 'add: what the key may do; each role may do what those before it may', ROLES),
  name: text('<name>', 'name of the key, which logs and list show; add takes a new one by default'),
  json,
};

export type KeysFlags = FlagsOf<typeof flags>;

export default command({
  name: 'keys',
  summary: 'Add, list and remove API keys of the server',
  details:
    'The actions are add, list and remove. add prints a new key, once: the file holds a hash of it alone. The server reads the file when it starts and whenever it changes.',
  example: 'keys add --role read --keys keys.txt --name shop',
  args: [{ name: 'action', help: 'add, list or remove' }],
  flags,
  run: async (flags, { args }) => (await import('./keys.ts')).runKeys(flags, args[0]),
});
