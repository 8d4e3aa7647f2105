import { librarySuite } from './library.ts';

librarySuite();
