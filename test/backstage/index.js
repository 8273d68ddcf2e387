// Starts the plugins whose OpenAPI documents the test reads and calls.
import { createBackend } from '@backstage/backend-defaults';

const plugins = [
  'auth', 'auth-backend-module-guest-provider',
  'catalog', 'catalog-backend-module-scaffolder-entity-model',
  'events', 'kubernetes', 'mcp-actions', 'notifications', 'scaffolder',
  'search', 'search-backend-module-catalog',
];

const backend = createBackend();
for (const name of plugins) {
  const suffix = name.includes('-module-') ? '' : '-backend';
  backend.add(import(`@backstage/plugin-${name}${suffix}`));
}
backend.add(import('./depot.js'));
await backend.start();
