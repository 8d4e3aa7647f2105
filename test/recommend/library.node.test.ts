import { librarySuite } from './library.ts';

await librarySuite();
