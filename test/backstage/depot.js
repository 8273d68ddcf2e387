// A plugin with the kinds of actions that none of Backstage's own plugins has:
// secrets, results that are no objects, errors of its own making.
import { coreServices, createBackendPlugin } from '@backstage/backend-plugin-api';
import { actionsRegistryServiceRef } from '@backstage/backend-plugin-api/alpha';

export default createBackendPlugin({
  pluginId: 'depot',
  register(env) {
    env.registerInit({
      // Without a router of its own a plugin needs the service for its routes.
      deps: { actions: actionsRegistryServiceRef, http: coreServices.httpRouter },
      async init({ actions }) {
        const action = (name, input, output, run, secrets) =>
          actions.register({
            name, title: name, description: `Shows ${name}.`,
            attributes: { readOnly: true, idempotent: true, destructive: false },
            schema: { input, output, ...(secrets && { secrets }) },
            action: async context => ({ output: await run(context) }),
          });
        const nothing = z => z.object({});
        const parcel = z => z.object({ weight: z.number(), inside: z.array(z.any()).optional() });

        action('list-parcels', nothing, z => z.array(z.string()), () => ['a', 'b']);
        action('count-parcels', nothing, z => z.number(), () => 12);
        action('see-caller', nothing, z => z.any(), ({ credentials }) => credentials.principal);
        action('leave', nothing, z => z.any(), () => undefined);
        action('weigh', parcel, z => z.object({ weight: z.number() }).passthrough(), ({ input }) => input);
        action('keep', z => z.object({ a: z.string() }).passthrough(), z => z.any(), ({ input }) => input);
        action('lose', nothing, z => z.any(), () => {
          throw Object.assign(new Error('No parcel is called x'), { name: 'NotFoundError' });
        });
        action('burn', nothing, z => z.any(), () => {
          throw new Error('the password is hunter2');
        });
        action('unlock', z => z.object({ door: z.string().optional() }), z => z.any(),
          ({ input, secrets }) => ({ door: input.door ?? 'front', key: secrets.depotKey }),
          z => z.object({ depotKey: z.string(), spareKey: z.string().optional() }));
      },
    });
  },
});
