/** Pages for people, in a scope of their own: their headers do not burden the answers to programs. */
import helmet from '@fastify/helmet';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Scripts, styles and requests of this server alone; no page of another site may frame these. */
const POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  manifestSrc: ["'self'"],
  formAction: ["'self'"],
  baseUri: ["'none'"],
  frameAncestors: ["'none'"],
};

/** @param tls whether the browser is to insist on HTTPS */
export async function addPages(app: FastifyInstance, { tls }: { tls: boolean }): Promise<void> {
  await app.register(async (pages) => {
    await pages.register(helmet, {
      contentSecurityPolicy: { useDefaults: false, directives: POLICY },
      strictTransportSecurity: tls,
      referrerPolicy: { policy: 'no-referrer' },
    });
    await pages.register(swaggerUi, { routePrefix: '/docs', uiConfig: { validatorUrl: null } });
  });
}
