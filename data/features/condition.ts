/**
 * Conditions on items' attributes, as users write them: `price<50 and category=shoes`.
 *
 *   condition  = term { "or" term };  term = factor { "and" factor };  factor = [ "not" ] ( "(" condition ")" | test )
 *   test       = attribute ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
 *              | attribute [ "not" ] "in" "(" value { "," value } ")"
 *              | attribute "is" [ "not" ] "missing"
 *
 * A value `$name` stands for a variable where the caller has any, as `seller != $user`.
 * Names and values with spaces or operators are in double quotes (`""` is a quote). An attribute may hold several values
 * (`Comedy|Drama`, `Comedy, Drama`, or RecBole's `Comedy Drama`): `=` and `in` test whether one of them, or the whole
 * text, equals the value, `!=` and `not in` whether none does. Case is ignored. `<` and the like compare numbers, without
 * regard to currency and thousands separators (`$1,299.00`, values.ts); an item without the attribute, or with a word
 * there, passes no test of it but `is missing`, `!=` and `not in`.
 */
import { InputError } from '../errors.ts';
import type { CatalogItem } from '../formats/catalog.ts';
import { ownValue } from '../own-value.ts';
import { numberIn, PLAIN, type CellFormat, valuesOf } from './values.ts';

/** How many parentheses and nots may be inside each other: what people write has a handful. */
const DEEPEST = 32;

export type Condition = (item: CatalogItem) => boolean;

interface Token {
  text: string;
  kind: 'word' | 'quoted' | 'sign';
  at: number;
}

const SIGNS = /^(?:!=|<=|>=|==|[=<>(),])/;
const WORD = /^[^\s=<>!(),"]+/;
export const VARIABLE = /^\$[a-z]\w*$/i;
const COMPARE: Readonly<Record<string, ((a: number, b: number) => boolean) | undefined>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/**
 * Reads a condition.
 * @param names the attributes that the items have (`id` and `title` are always known); others are refused, since a
 *   misspelled name would silently match nothing
 * @param formats the format of each attribute's values (`cellFormats`)
 * @param variables what `$name` stands for; null where `$` has no meaning
 * @throws InputError that states the position
 */
export function parseCondition(
  text: string,
  names: Iterable<string>,
  formats: ReadonlyMap<string, CellFormat> = new Map(),
  variables: ReadonlyMap<string, string> | null = null,
): Condition {
  return new Parser(text, names, formats, variables).parse();
}

/** An item's ID, title or attribute, in lower case. */
function textOf(item: CatalogItem, name: string): string {
  const own = ownValue(item.attributes, name);
  return (own || (name === 'id' ? item.id : name === 'title' ? item.title : '')).trim().toLowerCase();
}

class Parser {
  readonly #text: string;
  readonly #tokens: Token[];
  readonly #names: Map<string, string>;
  readonly #formats: ReadonlyMap<string, CellFormat>;
  readonly #variables: ReadonlyMap<string, string> | null;
  #next = 0;
  #depth = 0;

  constructor(
    text: string,
    names: Iterable<string>,
    formats: ReadonlyMap<string, CellFormat>,
    variables: ReadonlyMap<string, string> | null,
  ) {
    this.#text = text;
    this.#formats = formats;
    this.#variables = variables;
    this.#tokens = this.#tokenize();
    this.#names = new Map([...names, 'id', 'title'].map((name) => [name.toLowerCase(), name]));
  }

  parse(): Condition {
    const condition = this.#either();
    if (this.#peek()) this.#fail('expected "and", "or" or the end');
    return condition;
  }

  #tokenize(): Token[] {
    const tokens: Token[] = [];
    const text = this.#text;
    for (let at = 0; at < text.length; ) {
      const char = text.charAt(at);
      if (/\s/.test(char)) {
        at++;
        continue;
      }
      if (char === '"') {
        const [quoted, inner] = /^"((?:[^"]|"")*)"/.exec(text.slice(at)) ?? [];
        if (quoted === undefined || inner === undefined) throw this.#error('a double quote is not closed', at);
        tokens.push({ text: inner.replaceAll('""', '"'), kind: 'quoted', at });
        at += quoted.length;
        continue;
      }
      const sign = SIGNS.exec(text.slice(at));
      const found = sign ?? WORD.exec(text.slice(at));
      if (!found) throw this.#error(`unexpected ${char}`, at);
      tokens.push({ text: found[0] === '==' ? '=' : found[0], kind: sign ? 'sign' : 'word', at });
      at += found[0].length;
    }
    return tokens;
  }

  #either(): Condition {
    const terms = [this.#all()];
    while (this.#take('or')) terms.push(this.#all());
    return (item) => terms.some((term) => term(item));
  }

  #all(): Condition {
    const factors = [this.#one()];
    while (this.#take('and')) factors.push(this.#one());
    return (item) => factors.every((factor) => factor(item));
  }

  #one(): Condition {
    if (this.#take('not')) {
      const inner = this.#deeper(() => this.#one());
      return (item) => !inner(item);
    }
    if (this.#take('(')) {
      const inner = this.#deeper(() => this.#either());
      this.#expect(')');
      return inner;
    }
    return this.#test();
  }

  #deeper(read: () => Condition): Condition {
    if (++this.#depth > DEEPEST) this.#fail(`expected at most ${DEEPEST} conditions inside each other`);
    const inner = read();
    this.#depth--;
    return inner;
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
      const wanted = new Set(this.#list().flatMap((value) => [value, this.#canonical(value, name)]));
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
    if (sign.text === '=' || sign.text === '!=') {
      const canonical = this.#canonical(value, name);
      const equal = sign.text === '=';
      return (item) => this.#valuesOf(item, name).some((own) => own === value || own === canonical) === equal;
    }
    const bound = this.#number(value, name);
    const compare = ownValue(COMPARE, sign.text);
    if (!compare || Number.isNaN(bound)) throw this.#error(`${sign.text} compares numbers, found ${value}`, at);
    const { decimal } = this.#formats.get(name) ?? PLAIN;
    return (item) =>
      textOf(item, name)
        .split('|')
        .some((own) => compare(numberIn(own, decimal), bound));
  }

  /** A number of a condition: with a decimal point, or in the column's format. */
  #number(value: string, name: string): number {
    const number = value.trim() === '' ? Number.NaN : Number(value);
    return Number.isNaN(number) ? numberIn(value, (this.#formats.get(name) ?? PLAIN).decimal) : number;
  }

  /** The value in the form of {@link valuesOf}: numbers are equal however they are written. */
  #canonical(value: string, name: string): string {
    if (!this.#formats.get(name)?.numeric) return value;
    const number = this.#number(value, name);
    return Number.isNaN(number) ? value : String(number);
  }

  /** The whole text and each value in it; of IDs and titles only the whole. */
  #valuesOf(item: CatalogItem, name: string): string[] {
    const text = textOf(item, name);
    if (text === '' || name === 'id' || name === 'title') return text === '' ? [] : [text];
    return [text, ...valuesOf(text, this.#formats.get(name) ?? PLAIN)];
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
    const text = this.#variables && token.kind === 'word' ? this.#valueOf(token.text, this.#variables) : token.text;
    this.#next++;
    return text.toLowerCase();
  }

  /** A word, or what the variable stands for. */
  #valueOf(word: string, variables: ReadonlyMap<string, string>): string {
    if (!VARIABLE.test(word)) return word;
    const value = variables.get(word.slice(1));
    if (value === undefined) {
      const known = Array.from(variables.keys(), (name) => `$${name}`).join(', ');
      this.#fail(`${word} is not known here${known === '' ? '' : `; there is ${known}`}`);
    }
    return value;
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
    return new InputError('invalid-value', `condition ${JSON.stringify(this.#text)}: ${what}, at character ${at + 1}`);
  }
}
