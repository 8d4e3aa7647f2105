/** Entry point of the operator's page. */
import { render } from 'preact';
import { App } from './app.tsx';
import { watch } from './server.ts';

render(<App />, document.getElementById('app') as HTMLElement);
void watch();
