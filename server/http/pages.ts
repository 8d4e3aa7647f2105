/** Pages for people, in a scope of their own: their headers do not burden the answers to programs. */
import helmet from '@fastify/helmet';
import files from '@fastify/static';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Scripts, styles and requests of this server alone; no page of another site may frame these. */
const POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  manifestSrc: ["'self'"],
  formAction: ["'self'"],
  baseUri: ["'none'"],
  frameAncestors: ["'none'"],
};
/** Swagger UI has styles in its elements. */
const POLICY_OF_DOCS = { ...POLICY, styleSrc: ["'self'", "'unsafe-inline'"] };

export interface Pages {
  /** Whether the browser is to insist on HTTPS. */
  tls: boolean;
  /** Folder of the built page for operators; undefined: there is none at /. */
  operator: string | undefined;
}

export async function addPages(app: FastifyInstance, { tls, operator }: Pages): Promise<void> {
  const scope = (directives: typeof POLICY, add: (pages: FastifyInstance) => unknown) =>
    app.register(async (pages) => {
      await pages.register(helmet, {
        contentSecurityPolicy: { useDefaults: false, directives },
        strictTransportSecurity: tls,
        referrerPolicy: { policy: 'no-referrer' },
      });
      await add(pages);
    });
  await scope(POLICY_OF_DOCS, (pages) =>
    pages.register(swaggerUi, { routePrefix: '/docs', uiConfig: { validatorUrl: null } }),
  );
  if (operator === undefined) return;
  await scope(POLICY, (pages) =>
    pages.register(files, {
      root: operator,
      wildcard: false,
      cacheControl: false,
      // The names of assets change with what is in them.
      setHeaders: (reply, file) =>
        reply.setHeader(
          'cache-control',
          file.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
        ),
    }),
  );
}
