/**
 * Conditions on items' attributes, as people type them: `price<50 and category=shoes`.
 *
 *   condition  = term { "or" term };  term = factor { "and" factor };  factor = [ "not" ] ( "(" condition ")" | test )
 *   test       = attribute ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
 *              | attribute [ "not" ] "in" "(" value { "," value } ")"
 *              | attribute "is" [ "not" ] "missing"
 *
 * Names and values with spaces or signs stand in double quotes (`""` is a quote). An attribute may hold several values
 * (`Comedy|Drama`, `Comedy, Drama`, or RecBole's `Comedy Drama`): `=` and `in` ask whether one of them, or the whole
 * text, is it, `!=` and `not in` whether none is. Letter case does not matter. `<` and its like compare numbers; an item
 * without the attribute, or with a word there, passes no test of it but `is missing`, `!=` and `not in`.
 */
import { valuesOf as valuesIn } from './attributes.ts';
import { InputError } from './errors.ts';

/** What a condition is asked about. */
export interface Attributed {
  id: string;
  title: string;
  attributes: Readonly<Record<string, string>>;
}

export type Condition = (item: Attributed) => boolean;

interface Token {
  text: string;
  kind: 'word' | 'quoted' | 'sign';
  at: number;
}

const SIGNS = /^(?:!=|<=|>=|==|[=<>(),])/;
const WORD = /^[^\s=<>!(),"]+/;
const COMPARE: Record<string, (a: number, b: number) => boolean> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/**
 * Reads a condition.
 * @param names the attributes that the items have (`id` and `title` are always known); others are refused, since a
 *   misspelt name would quietly keep nothing
 * @param spaced those whose values are divided by spaces, too (`spacedColumns`)
 * @throws InputError that shows the place
 */
export function parseCondition(
  text: string,
  names: Iterable<string>,
  spaced: ReadonlySet<string> = new Set(),
): Condition {
  return new Parser(text, names, spaced).parse();
}

/** An item's ID, title or attribute, in lower case. */
function textOf(item: Attributed, name: string): string {
  const own = Object.hasOwn(item.attributes, name) ? item.attributes[name] : '';
  return (own || (name === 'id' ? item.id : name === 'title' ? item.title : '')).trim().toLowerCase();
}

class Parser {
  readonly #text: string;
  readonly #tokens: Token[];
  readonly #names: Map<string, string>;
  readonly #spaced: ReadonlySet<string>;
  #next = 0;

  constructor(text: string, names: Iterable<string>, spaced: ReadonlySet<string>) {
    this.#text = text;
    this.#spaced = spaced;
    this.#tokens = this.#tokenise();
    this.#names = new Map([...names, 'id', 'title'].map((name) => [name.toLowerCase(), name]));
  }

  parse(): Condition {
    const condition = this.#either();
    if (this.#peek()) this.#fail('expected "and", "or" or the end');
    return condition;
  }

  #tokenise(): Token[] {
    const tokens: Token[] = [];
    const text = this.#text;
    for (let at = 0; at < text.length; ) {
      if (/\s/.test(text[at])) {
        at++;
        continue;
      }
      if (text[at] === '"') {
        const quoted = /^"((?:[^"]|"")*)"/.exec(text.slice(at));
        if (!quoted) throw this.#error('a double quote is not closed', at);
        tokens.push({ text: quoted[1].replaceAll('""', '"'), kind: 'quoted', at });
        at += quoted[0].length;
        continue;
      }
      const sign = SIGNS.exec(text.slice(at));
      const found = sign ?? WORD.exec(text.slice(at));
      if (!found) throw this.#error(`unexpected ${text[at]}`, at);
      tokens.push({ text: found[0] === '==' ? '=' : found[0], kind: sign ? 'sign' : 'word', at });
      at += found[0].length;
    }
    return tokens;
  }

  #either(): Condition {
    const parts = [this.#all()];
    while (this.#take('or')) parts.push(this.#all());
    return parts.length === 1 ? parts[0] : (item) => parts.some((part) => part(item));
  }

  #all(): Condition {
    const parts = [this.#one()];
    while (this.#take('and')) parts.push(this.#one());
    return parts.length === 1 ? parts[0] : (item) => parts.every((part) => part(item));
  }

  #one(): Condition {
    if (this.#take('not')) {
      const inner = this.#one();
      return (item) => !inner(item);
    }
    if (this.#take('(')) {
      const inner = this.#either();
      this.#expect(')');
      return inner;
    }
    return this.#test();
  }

  #test(): Condition {
    const name = this.#attribute();
    if (this.#take('is')) {
      const negated = this.#take('not');
      this.#expect('missing');
      return (item) => (textOf(item, name) === '') !== negated;
    }
    const negated = this.#take('not');
    if (this.#take('in')) {
      const wanted = new Set(this.#list());
      return (item) => this.#valuesOf(item, name).some((value) => wanted.has(value)) !== negated;
    }
    if (negated) this.#fail('expected "in" after "not"');
    return this.#comparison(name);
  }

  #comparison(name: string): Condition {
    const sign = this.#peek();
    if (sign?.kind !== 'sign' || !['=', '!=', '<', '<=', '>', '>='].includes(sign.text)) {
      this.#fail(`expected a comparison after ${name} (=, !=, <, <=, >, >=, in, is missing)`);
    }
    this.#next++;
    const at = this.#peek()?.at;
    const value = this.#value();
    if (sign.text === '=') return (item) => this.#valuesOf(item, name).includes(value);
    if (sign.text === '!=') return (item) => !this.#valuesOf(item, name).includes(value);
    const bound = Number(value);
    if (value === '' || Number.isNaN(bound)) throw this.#error(`${sign.text} compares numbers, found ${value}`, at);
    const compare = COMPARE[sign.text];
    return (item) =>
      textOf(item, name)
        .split('|')
        .some((own) => own.trim() !== '' && compare(Number(own), bound));
  }

  /** The whole text and each value in it; of IDs and titles the whole alone. */
  #valuesOf(item: Attributed, name: string): string[] {
    const text = textOf(item, name);
    if (text === '' || name === 'id' || name === 'title') return text === '' ? [] : [text];
    return [text, ...valuesIn(text, this.#spaced.has(name))];
  }

  #list(): string[] {
    this.#expect('(');
    const values = [this.#value()];
    while (this.#take(',')) values.push(this.#value());
    this.#expect(')');
    return values;
  }

  #attribute(): string {
    const token = this.#peek();
    if (!token || token.kind === 'sign') this.#fail('expected the name of an attribute');
    const name = this.#names.get(token.text.toLowerCase());
    if (name === undefined) this.#fail(`no item has an attribute ${token.text}; there is ${this.#known()}`);
    this.#next++;
    return name;
  }

  #known(): string {
    const known = [...new Set(this.#names.values())];
    return known.length > 12 ? `${known.slice(0, 12).join(', ')}, …` : known.join(', ');
  }

  #value(): string {
    const token = this.#peek();
    if (!token || token.kind === 'sign') this.#fail('expected a value');
    this.#next++;
    return token.text.toLowerCase();
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  /** Takes a sign or a keyword, if it comes next. */
  #take(text: string): boolean {
    const token = this.#peek();
    if (!token || token.kind === 'quoted' || token.text.toLowerCase() !== text) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#fail(`expected ${text}`);
  }

  #fail(what: string): never {
    throw this.#error(what, this.#peek()?.at);
  }

  #error(what: string, at = this.#text.length): InputError {
    return new InputError(`condition ${JSON.stringify(this.#text)}: ${what}, at character ${at + 1}`);
  }
}
