/** Entry point of the operator's page. */
import { render } from 'preact';
import { OperatorApp } from './app.tsx';
import { watch } from './server.ts';

render(<OperatorApp />, document.getElementById('app') as HTMLElement);
void watch();
